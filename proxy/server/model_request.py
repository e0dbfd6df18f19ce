"""A request to a model, on whichever wire: read, plan, run, answer, and write down what happened."""

from __future__ import annotations

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
from proxy.execution.relay import Attendant
from proxy.execution.run import Answer, JsonAnswer, ResortAnswer, Run, StreamAnswer
from proxy.server.account import Account
from proxy.server.answer import explain_plan, send_json, send_last_resort
from proxy.server.clients import check_may_use
from proxy.server.context import Context
from proxy.server.door import Door, body_patience
from proxy.server.streamed import OnItsWay, Streamed, begin

_ANTHROPICS = ("anthropic-version", "anthropic-beta")
_OWN_HEADERS = {Wire.MESSAGES: _ANTHROPICS, Wire.COUNT_TOKENS: _ANTHROPICS}
"""Headers that say how a request is to be read, and go on to upstreams that speak the same language."""


class Service:
    """One request to a model. Whatever becomes of it, its record is emitted when it is over."""

    __slots__ = ("_account", "_streamed")

    def __init__(
        self, door: Door, context: Context, run: Run | None = None, on_its_way: OnItsWay | None = None
    ) -> None:
        """A `run` is that of a request which was let in, and has come so far already; perhaps with a stream."""
        account = self._account = Account(door, context, run)
        self._streamed: Streamed | None = None
        if run is not None and on_its_way is not None:
            self._streamed = Streamed(account, run, *on_its_way)
            account.record.deployment = None if run.current is None else run.current.deployment

    async def go_on(self, attendant: Attendant | None = None) -> bool:
        """Serve it to its end. Raises ClientError for what its client is still to be told.

        With an attendant this returns False while nobody has to wait for what comes next of a stream, and is to be
        called again when the attendant is.
        """
        account = self._account
        with account:
            streamed = self._streamed
            if streamed is None:
                run = account.run
                if run is None:
                    _admit(account.door, account.context)
                    run = account.run = await _read(account.door, account.context, account.record)
                answer = await _answer(account, run, attendant)
                if answer is None:
                    return True
                if answer.gated:
                    account.goes_on = True
                    return False
                streamed = self._streamed = begin(account, run, answer)
            over = await streamed.bring(attendant)
            account.goes_on = not over
            return over


def _admit(door: Door, context: Context) -> None:
    """Count the request in, unless the server is full or on its way out."""
    if context.lifecycle.ending and door.work not in context.lifecycle.running:
        raise stopping()
    if not context.lifecycle.admit(door.work, context.settings.server.max_concurrent):
        raise too_busy(context.settings.server.max_concurrent)


async def _read(door: Door, context: Context, record: RequestEnded) -> Run:
    """What is asked, and what is planned for it."""
    settings, started = context.settings, door.since
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


async def _answer(account: Account, run: Run, attendant: Attendant | None) -> StreamAnswer | None:
    """Answer, unless that is a stream, which is returned."""
    door, context, record = account.door, account.context, account.record
    wire = run.request.wire
    if run.explain:
        record.status, record.outcome = 200, "explained"
        explain_plan(door, context, run)
        return None
    if wire is Wire.COUNT_TOKENS:
        answer = await _counted(context, run)
    else:
        answer = await context.executor.answer(run, attendant)
    if isinstance(answer, StreamAnswer) and answer.gated:
        return answer
    if wire is Wire.RESPONSES and run.current is not None and not isinstance(answer, ResortAnswer):
        context.ties.note(answer, run.current.deployment)
    if isinstance(answer, StreamAnswer):
        return answer
    if isinstance(answer, JsonAnswer):
        await send_json(door, context, run, answer, record)
    else:
        await send_last_resort(door, context, run, answer, record)
    return None


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
