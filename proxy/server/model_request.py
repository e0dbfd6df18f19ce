"""A request to a model, on whichever wire: read, plan, run, answer, and write down what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from multidict import MultiMapping

from proxy.config.resolve import find_route, nearest_route
from proxy.config.settings import RouteSettings, Settings
from proxy.core.chat import parse_chat
from proxy.core.errors import ClientError, bad_request, model_not_found, stopping, too_busy
from proxy.core.event import RequestEnded
from proxy.core.request import Body, ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.languages import CLIENT_WIRES
from proxy.dialects.messages.counting import count_answer, estimate
from proxy.execution.run import Answer, JsonAnswer, ResortAnswer, Run, StreamAnswer
from proxy.server.answer import explain_plan, own_id, send_json, send_last_resort, send_stream, tell_error
from proxy.server.clients import check_may_use
from proxy.server.context import Context
from proxy.server.door import Door, body_patience
from proxy.server.flags import FLAGS, RESUMED

_UNKNOWN = "_unknown"
_ANTHROPICS = ("anthropic-version", "anthropic-beta")
_OWN_HEADERS = {Wire.MESSAGES: _ANTHROPICS, Wire.COUNT_TOKENS: _ANTHROPICS}
"""Headers that say how a request is to be read, and go on to upstreams that speak the same language."""


async def answer_request(door: Door, context: Context, run: Run | None = None) -> None:
    """Answer one request, with JSON or a stream. Raises ClientError for what its client is still to be told.

    A `run` is that of a request which was let in, and has come so far already. Whatever becomes of it, its record is
    emitted when it is over.
    """
    clock, lifecycle = context.clock, context.lifecycle
    started = door.since
    record = RequestEnded(door.id, _UNKNOWN, "", stream=False)
    record.client_retry, record.tags = door.head.client_retry, door.head.tags
    try:
        if run is None:
            _admit(door, context)
            run = await _read(door, context, record, started)
        else:
            _note(record, run)
        await _answer(door, context, record, run)
    except ClientError as error:
        record.status, record.outcome = error.status, error.outcome
        error.told |= own_id(door)
        raise
    except asyncio.CancelledError:
        if not door.begun and lifecycle.ends(door.work):
            # Nothing has been sent yet, so the client can still be told, and asked to come back.
            told = stopping()
            record.status, record.outcome = told.status, told.outcome
            raise told from None
        if record.outcome == "ok":
            record.status, record.outcome = 499, "client_left"
        raise
    except ConnectionError:
        # It left in the moment in which it was answered.
        record.status, record.outcome = 499, "client_left"
        raise
    except Exception:
        record.status, record.outcome = 500, "internal_error"
        raise
    finally:
        lifecycle.over(door.work)
        record.duration = clock() - started
        record.flag = FLAGS.get(record.outcome, RESUMED if record.resumes else "")
        context.emit(record)


def _admit(door: Door, context: Context) -> None:
    """Count the request in, unless the server is full or on its way out."""
    if context.lifecycle.ending and door.work not in context.lifecycle.running:
        raise stopping()
    if not context.lifecycle.admit(door.work, context.settings.server.max_concurrent):
        raise too_busy(context.settings.server.max_concurrent)


async def _read(door: Door, context: Context, record: RequestEnded, started: float) -> Run:
    """What is asked, and what is planned for it."""
    settings = context.settings
    client, wishes = door.head.asked(settings)
    record.client = client.name if client else None
    body = await door.body(settings.server.max_body, body_patience(settings, wishes))
    took = record.waited_for_others = context.clock() - started
    wire = door.head.wire
    request = door.request or (parse_chat(body) if wire is Wire.CHAT else _parse(door, wire, body))
    record.model_asked, record.stream = request.model, request.stream
    route = _route(settings, request.model)
    check_may_use(client, route.name, request.model)
    record.route = route.name
    if wire is Wire.RESPONSES:
        wishes = context.ties.bound(request, wishes, route, settings)
    plan = context.planner.plan(route, request.model, wishes, started, request)
    return Run(plan, request, started, record.client, took, explain=wishes.explain)


def _note(record: RequestEnded, run: Run) -> None:
    """Write down what is known of a request from the beginning."""
    record.client, record.route = run.client, run.plan.route
    record.model_asked, record.stream = run.request.model, run.request.stream
    record.waited_for_others = run.body_took


async def _answer(door: Door, context: Context, record: RequestEnded, run: Run) -> None:
    wire = run.request.wire
    if run.explain:
        record.status, record.outcome = 200, "explained"
        explain_plan(door, context, run)
        return
    try:
        answer = await (context.executor.answer(run) if wire is not Wire.COUNT_TOKENS else _counted(context, run))
        if wire is Wire.RESPONSES and run.current is not None and not isinstance(answer, ResortAnswer):
            context.ties.note(answer, run.current.deployment)
        if isinstance(answer, JsonAnswer):
            await send_json(door, context, run, answer, record)
        elif isinstance(answer, StreamAnswer):
            await send_stream(door, context, run, answer, record)
        else:
            await send_last_resort(door, context, run, answer, record)
    except ClientError as error:
        tell_error(error, run, context.clock())
        raise
    finally:
        record.attempts, record.cost = tuple(run.ended), run.cost
        for attempt in run.ended:
            record.waited_for_others += attempt.duration
        record.waited_for_others += run.waited
        record.first_token = run.answered - run.started if run.answered is not None else None


async def _counted(context: Context, run: Run) -> Answer:
    """A count of tokens; where nobody counts them, an estimate."""
    try:
        return await context.executor.answer(run)
    except ClientError:
        counted = count_answer(estimate(run.request))
        run.current = None
        return JsonAnswer(counted, {"x-holdfast-reason": "estimated"}, (), None)


def _parse(door: Door, wire: Wire, body: Body) -> ModelRequest:
    request = CLIENT_WIRES[wire].parse(body)
    headers = door.head.headers
    own = {name: _whole(headers, name) for name in _OWN_HEADERS.get(wire, ()) if name in headers}
    for name, value in own.items():
        if not (value.isascii() and value.isprintable()):
            raise bad_request(f"{name} must be visible ASCII.")
    request.headers = own
    return request


def _whole(headers: Mapping[str, str], name: str) -> str:
    """The value of a header that may stand in several lines."""
    return ", ".join(headers.getall(name)) if isinstance(headers, MultiMapping) else headers[name]


def _route(settings: Settings, model: str) -> RouteSettings:
    route = find_route(settings, model)
    if route is None:
        raise model_not_found(model, nearest_route(settings, model))
    return route
