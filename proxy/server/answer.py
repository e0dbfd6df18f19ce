"""Answers on their way out: JSON, the last resort, an explanation; and the heads and last words of streams."""

from __future__ import annotations

import secrets
import time

import msgspec

from proxy.core.errors import error_event
from proxy.core.event import RequestEnded
from proxy.core.failure import DEADLINE_EXCEEDED
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Speaking
from proxy.dialects.languages import CLIENT_WIRES
from proxy.execution.delivery import Interruption
from proxy.execution.run import JsonAnswer, ResortAnswer, Run, StreamAnswer
from proxy.pool.snapshot import threshold
from proxy.routing.explain import explain
from proxy.server.context import Context
from proxy.server.door import MOST_AT_ONCE, Door
from proxy.server.telling import tell, tell_json
from proxy.server.wire import SSE_HEADERS, safe
from proxy.streams.resume import OBSTACLES
from proxy.streams.splice import DONE_EVENT

_ANTHROPICS = frozenset({Wire.MESSAGES, Wire.COUNT_TOKENS})


async def send_json(door: Door, context: Context, run: Run, answer: JsonAnswer, record: RequestEnded) -> None:
    """Send a whole answer, as it came."""
    headers = tell_json(context, run, answer, record)
    if door.head.wire in _ANTHROPICS:
        headers |= own_id(door)
    if len(answer.body) <= MOST_AT_ONCE:
        door.answer(200, headers, answer.body)
        return
    sender = door.begin(headers, deadline=run.plan.deadline, size=len(answer.body))
    try:
        await sender.write(answer.body)
        await sender.end()
    except ConnectionError:
        record.status, record.outcome = 499, "client_left"


def own_id(door: Door) -> dict[str, str]:
    """The request's id, where the client's language has another header for it than ours."""
    return {"request-id": door.id} if door.head.wire in _ANTHROPICS else {}


def stream_headers(
    door: Door, context: Context, run: Run, answer: StreamAnswer, record: RequestEnded
) -> dict[str, str]:
    """The headers of a stream that has content."""
    running = (answer.permit.deployment.id, context.clock() - answer.started)
    headers = {**answer.headers, **tell(context, run, run.current, record, running), **SSE_HEADERS}
    if answer.dropped:
        headers["x-holdfast-dropped"] = safe(", ".join(answer.dropped))
    return headers | own_id(door)


async def send_last_resort(door: Door, context: Context, run: Run, answer: ResortAnswer, record: RequestEnded) -> None:
    """A kept answer, or the route's own text, in the shape that the client asked for, and marked as what it is."""
    record.status = 200
    record.degraded = "reason=last_resort;quality=0"
    told = {**tell(context, run, None, record), "x-holdfast-reason": "last resort"}
    if answer.kept is not None:
        record.degraded = f"reason=cached;age={answer.age:.0f}"
        kept = answer.kept.deployment
        told |= {"x-holdfast-reason": "kept answer", "x-holdfast-upstream": kept.upstream}
        told["x-holdfast-model"] = safe(kept.model)
    told["x-holdfast-degraded"] = record.degraded
    stream = run.request.stream
    body = answer.kept.body if answer.kept is not None else _last_words(run.request, answer.text)
    headers = {**told, **SSE_HEADERS} if stream else {**told, "content-type": "application/json"}
    if not stream and len(body) <= MOST_AT_ONCE:
        door.answer(200, headers, body)
        return
    sender = door.begin(headers, deadline=run.plan.deadline, size=None if stream else len(body))
    try:
        await sender.write(body)
        await sender.end()
    except ConnectionError:
        record.status, record.outcome = 499, "client_left"


def _last_words(request: ModelRequest, text: str) -> bytes:
    """A text as a whole answer, in the client's language."""
    chat = last_resort_events(text) if request.stream else last_resort_json(text)
    if request.wire is Wire.CHAT:
        return chat
    wire, speaking = CLIENT_WIRES[request.wire], Speaking(request, secrets.token_hex(12), int(time.time()))
    return wire.encoder(speaking).feed(chat) if request.stream else wire.from_chat(chat, speaking)


def last_resort_json(text: str) -> bytes:
    """A text as a whole answer."""
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    message = {"role": "assistant", "content": text, "refusal": None}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    return msgspec.json.encode({**_own_answer("chat.completion"), "choices": choices, "usage": usage})


def last_resort_events(text: str) -> bytes:
    """A text as a whole stream."""
    own = _own_answer("chat.completion.chunk")
    events = b""
    for delta, finish in (({"role": "assistant", "content": text}, None), ({}, "stop")):
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        events += b"data: " + msgspec.json.encode({**own, "choices": choices}) + b"\n\n"
    return events + DONE_EVENT


def _own_answer(kind: str) -> dict[str, object]:
    id_ = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": id_, "object": kind, "created": int(time.time()), "model": "holdfast/last-resort"}


def explain_plan(door: Door, context: Context, run: Run) -> None:
    """Send the plan instead of an answer, for `x-holdfast-explain`."""
    now = context.clock()
    standings = [context.pool.standing(step.deployment, step.rules, now) for step in run.plan.steps]
    breakers = [threshold(context.pool, step.deployment, step.rules, now) for step in run.plan.steps]
    explained = explain(run.plan, standings, now, breakers=breakers).as_document()
    door.answer(200, {"content-type": "application/json"}, msgspec.json.encode(explained))


def told_of(interruption: Interruption, run: Run) -> bytes:
    """The event that ends an answer which stays a part: who broke off, and why nobody went on."""
    failure = interruption.failure
    late = DEADLINE_EXCEEDED in {failure.code, interruption.obstacle}
    why = OBSTACLES[interruption.obstacle]
    return broken(
        run,
        f"{run.plan.route}: {interruption.deployment} broke off within the answer ({failure.code}); {why}.",
        DEADLINE_EXCEEDED if late else "upstream_stream_broken",
        reason=interruption.obstacle.value,
        retryable=interruption.retryable,
    )


def broken(run: Run, message: str, code: str, *, reason: str, retryable: bool = True) -> bytes:
    """The event that ends a stream which cannot be finished, in the client's language."""
    if run.request.wire is Wire.CHAT:
        return error_event(message, code, reason=reason, retryable=retryable)
    if run.encoder is not None:
        return run.encoder.error(message, code, reason=reason, retryable=retryable)
    return CLIENT_WIRES[run.request.wire].broken(message, code, reason=reason, retryable=retryable)
