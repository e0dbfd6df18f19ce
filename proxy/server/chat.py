"""POST /v1/chat/completions: read, plan, run, answer, and write down what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from proxy.config.resolve import find_route, nearest_route
from proxy.config.settings import RouteSettings, Settings
from proxy.core.chat import parse_chat
from proxy.core.errors import ClientError, body_timeout, model_not_found, request_too_large, stopping, too_busy
from proxy.core.event import RequestEnded
from proxy.execution.run import ResortAnswer, Run, StreamAnswer
from proxy.routing.plan import make_plan
from proxy.server.answer import explanation, send_json, send_last_resort, send_stream, tell_error
from proxy.server.clients import check_may_use, identify
from proxy.server.context import CONTEXT, REQUEST_ID, Context
from proxy.server.sending import BEGUN
from proxy.server.wire import read_tags, read_wishes, retry_count

_UNKNOWN = "_unknown"
_FLAGS = {
    "client_left": "DC",
    "deadline_exceeded": "DE",
    "invalid_api_key": "NA",
    "model_not_found": "NR",
    "overloaded": "OL",
    "rate_limit_exceeded": "RL",
    "upstream_error": "UE",
    "no_healthy_upstream": "UH",
    "stream_interrupted": "US",
}
"""For the eye, in the log; docs/operations.md has the list."""


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer one chat completion, JSON or SSE."""
    context = request.app[CONTEXT].now
    record = RequestEnded(request[REQUEST_ID], _UNKNOWN, "", stream=False)
    record.client_retry = retry_count(request.headers)
    record.tags = read_tags(request.headers)
    with _recorded(context, record), _admitted(context):
        try:
            return await _answer(request, context, record)
        except asyncio.CancelledError:
            if BEGUN not in request and context.lifecycle.ends_this_task():
                # Nothing has been sent yet, so the client can still be told, and asked to come back.
                raise stopping() from None
            raise


@contextmanager
def _recorded(context: Context, record: RequestEnded) -> Iterator[None]:
    """Emit the record when the request is over, however it ends."""
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        yield
    except ClientError as error:
        record.status, record.outcome = error.status, error.outcome
        raise
    except asyncio.CancelledError:
        if record.outcome == "ok":
            record.status, record.outcome = 499, "client_left"
        raise
    except Exception:
        record.status, record.outcome = 500, "internal_error"
        raise
    finally:
        record.duration = clock() - started
        record.flag = _FLAGS.get(record.outcome, "UR" if record.resumes else "")
        context.emit(record)


@contextmanager
def _admitted(context: Context) -> Iterator[None]:
    """Count the request in, unless the server is full or on its way out."""
    running = context.lifecycle.running
    limit = context.settings.server.max_concurrent
    if context.lifecycle.ending:
        raise stopping()
    if len(running) >= limit:
        raise too_busy(limit)
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a handler runs in a task
    running.add(task)
    try:
        yield
    finally:
        running.discard(task)


async def _answer(request: web.Request, context: Context, record: RequestEnded) -> web.StreamResponse:
    settings = context.settings
    started = asyncio.get_running_loop().time()
    client = identify(settings.clients, request.headers)
    record.client = client.name if client else None
    wishes = read_wishes(request.headers, settings.upstreams)
    body = await _read_body(request, settings, wishes.timeout)
    record.waited_for_others = asyncio.get_running_loop().time() - started
    chat = parse_chat(body)
    record.model_asked, record.stream = chat.model, chat.stream
    route = _route(settings, chat.model)
    check_may_use(client, route.name, chat.model)
    record.route = route.name
    run = Run(make_plan(settings, route, chat.model, wishes, started), chat, started, record.client)
    if wishes.explain:
        record.status, record.outcome = 200, "explained"
        return explanation(context, run)
    try:
        answer = await context.executor.answer(run)
        if isinstance(answer, StreamAnswer):
            return await send_stream(request, context, run, answer, record)
        if isinstance(answer, ResortAnswer):
            return await send_last_resort(request, context, run, answer, record)
        return await send_json(request, context, run, answer, record)
    except ClientError as error:
        tell_error(error, run)
        raise
    finally:
        record.attempts = tuple(run.ended)
        record.waited_for_others += run.waited + sum(attempt.duration for attempt in run.ended)
        record.first_token = run.answered - run.started if run.answered is not None else None


async def _read_body(request: web.Request, settings: Settings, wanted: float | None) -> bytes:
    """The body, within the server's patience and the client's own deadline, where it names one."""
    limit, patience = settings.server.max_body, settings.server.timeout.body
    patience = patience if wanted is None else min(patience, wanted)
    if (request.content_length or 0) > limit:
        raise request_too_large(limit)
    try:
        async with asyncio.timeout(patience):
            # Not `request.read`: its limit is the application's, and that of the server may change.
            body = bytearray()
            while piece := await request.content.readany():
                body += piece
                if len(body) > limit:
                    raise request_too_large(limit)
            return bytes(body)
    except TimeoutError:
        raise body_timeout(patience) from None
    except web.RequestPayloadError:
        raise ClientError(400, "malformed_request", "The request body is not valid HTTP.", close=True) from None


def _route(settings: Settings, model: str) -> RouteSettings:
    route = find_route(settings, model)
    if route is None:
        raise model_not_found(model, nearest_route(settings, model))
    return route
