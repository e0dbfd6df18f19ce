"""Answers on their way out: JSON, a stream, the last resort, an explanation; and what each tells of itself."""

from __future__ import annotations

import asyncio
import secrets
import time

import msgspec
from aiohttp import web

from proxy.core.errors import ClientError, error_event
from proxy.core.event import RequestEnded
from proxy.core.failure import DEADLINE_EXCEEDED, Failure
from proxy.core.names import DeploymentId
from proxy.execution.attempt import JsonAnswer, StreamAnswer
from proxy.execution.executor import Run
from proxy.routing.explain import degraded, explain, reason
from proxy.routing.next_move import LastResort
from proxy.server.context import REQUEST_ID, Context
from proxy.server.wire import SERVER, safe, trail
from proxy.streams.splice import DONE_EVENT

_SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "server": SERVER,
    # nginx and its kin would hold the stream back in their buffers.
    "x-accel-buffering": "no",
}


_LARGE = 32 * 1024
"""Bytes of a JSON answer that fit the buffers on the way, so that sending them never waits for the client."""


async def send_json(
    request: web.Request, context: Context, run: Run, answer: JsonAnswer, record: RequestEnded
) -> web.Response:
    """Send a whole answer, as it came."""
    record.status, record.usage = 200, answer.usage
    record.deployment, record.degraded = _served(run)
    headers = {**answer.headers, **_told(run), **_dropped(answer.dropped), "content-type": "application/json"}
    response = web.Response(body=answer.body, headers=headers)
    if len(answer.body) > _LARGE:
        response.headers.update({"x-request-id": request[REQUEST_ID], "server": SERVER})
        try:
            await _send_patiently(request, response, context.settings.server.timeout.write)
        except ConnectionError:
            record.status, record.outcome = 499, "client_left"
    return response


async def _send_patiently(request: web.Request, response: web.Response, patience: float) -> None:
    """Send a large answer for as long as the client takes some of it within `patience` seconds."""

    async def send() -> None:
        await response.prepare(request)
        await response.write_eof()

    sending = asyncio.ensure_future(send())
    try:
        left = len(response.body) if isinstance(response.body, bytes) else 0
        while not (await asyncio.wait({sending}, timeout=patience))[0]:
            waiting = request.transport.get_write_buffer_size() if request.transport is not None else left
            if waiting >= left:
                _abort(request)
                raise ConnectionResetError("the client does not read")
            left = waiting
        sending.result()
    finally:
        sending.cancel()


async def send_stream(
    request: web.Request, context: Context, run: Run, answer: StreamAnswer, record: RequestEnded
) -> web.StreamResponse:
    """Forward a stream. Its head goes out with the first content; a failure after that ends it with an error event."""
    record.status = 200
    record.deployment, record.degraded = _served(run)
    running = (answer.permit.deployment.id, asyncio.get_running_loop().time() - answer.started)
    headers = {**answer.headers, **_told(run, running), **_dropped(answer.dropped), **_SSE_HEADERS}
    headers["x-request-id"] = request[REQUEST_ID]
    response = web.StreamResponse(headers=headers)
    patience = context.settings.server.timeout.write

    async def write(data: bytes) -> None:
        try:
            async with asyncio.timeout(patience):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(data)
        except TimeoutError:
            _abort(request)
            raise ConnectionResetError("the client does not read") from None

    try:
        failure = await context.executor.relay(run, answer, write)
        if failure is not None:
            record.outcome = "stream_interrupted"
            await write(_interruption(run, failure))
        await response.write_eof()
    except asyncio.CancelledError:
        if not response.prepared or not context.lifecycle.ends_this_task():
            raise
        record.outcome = "stream_interrupted"
        await response.write(error_event("The proxy is shutting down.", "shutting_down"))
        await response.write_eof()
    except ConnectionError:
        # Gone between two writes, or too slow to read: nobody is left to be told.
        record.status, record.outcome = 499, "client_left"
    finally:
        record.usage = answer.relay.usage
    if context.lifecycle.draining:
        response.force_close()
    return response


async def last_resort_response(
    request: web.Request, run: Run, answer: LastResort, record: RequestEnded
) -> web.StreamResponse:
    """The route's own text, in the shape that the client asked for, and marked as what it is."""
    record.status, record.degraded = 200, degraded(run.plan, None, run.ended)
    headers = _told(run)
    body = {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "created": int(time.time()),
        "model": "holdfast/last-resort",
    }
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "logprobs": None}
    if not run.request.stream:
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        choices = [{**choice, "message": {**message, "refusal": None}, "finish_reason": "stop"}]
        whole = {**body, "object": "chat.completion", "choices": choices, "usage": usage}
        return web.Response(body=msgspec.json.encode(whole), headers={**headers, "content-type": "application/json"})
    response = web.StreamResponse(headers={**headers, **_SSE_HEADERS, "x-request-id": request[REQUEST_ID]})
    await response.prepare(request)
    body["object"] = "chat.completion.chunk"
    for delta, finish in ((message, None), ({}, "stop")):
        event = {**body, "choices": [{**choice, "delta": delta, "finish_reason": finish}]}
        await response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")
    await response.write(DONE_EVENT)
    await response.write_eof()
    return response


def explanation(context: Context, run: Run) -> web.Response:
    """The plan instead of an answer, for `x-holdfast-explain`."""
    now = asyncio.get_running_loop().time()
    standings = [context.pool.standing(step.deployment, now) for step in run.plan.steps]
    explained = explain(run.plan, standings, now).as_document()
    return web.Response(body=msgspec.json.encode(explained), headers={"content-type": "application/json"})


def tell_error(error: ClientError, run: Run) -> None:
    """Add to an error what every reply tells."""
    error.told = {"x-holdfast-route": safe(run.plan.route), "x-holdfast-attempts": str(len(run.ended))}
    if run.ended:
        last = run.ended[-1].deployment
        error.told["x-holdfast-upstream"] = last.upstream
        error.told["x-holdfast-model"] = safe(last.model)
        error.told["x-holdfast-trail"] = trail(run.ended)
        error.told["server-timing"] = _timing(run)
    error.told["x-holdfast-reason"] = error.outcome


def _served(run: Run) -> tuple[DeploymentId | None, str | None]:
    return (run.current.deployment if run.current else None), degraded(run.plan, run.current, run.ended)


def _told(run: Run, running: tuple[DeploymentId, float] | None = None) -> dict[str, str]:
    """What every answer tells: who answered, after how many attempts, how long each took, and why this one."""
    headers = {
        "x-holdfast-route": safe(run.plan.route),
        "x-holdfast-attempts": str(len(run.ended) + (running is not None)),
        "x-holdfast-trail": trail(run.ended, running),
        "server-timing": _timing(run),
    }
    answered = run.ended[-1].outcome == "ok" if run.ended else False
    step = run.current if answered or running is not None else None
    if step is not None:
        headers["x-holdfast-upstream"] = step.deployment.upstream
        headers["x-holdfast-model"] = safe(step.deployment.model)
        headers["x-holdfast-reason"] = safe(reason(run.plan, step, run.ended, run.resting))
    else:
        headers["x-holdfast-reason"] = "last resort"
    if (mark := degraded(run.plan, step, run.ended)) is not None:
        headers["x-holdfast-degraded"] = mark
    return headers


def _timing(run: Run) -> str:
    total = (asyncio.get_running_loop().time() - run.started) * 1000
    waited = run.waited * 1000
    upstream = sum(attempt.duration for attempt in run.ended) * 1000
    if run.answered is not None and run.current is not None:
        upstream = max(upstream, (run.answered - run.started) * 1000 - waited)
    overhead = max(0.0, total - waited - upstream)
    return f"upstream;dur={upstream:.1f}, wait;dur={waited:.1f}, overhead;dur={overhead:.1f}"


def _dropped(fields: tuple[str, ...]) -> dict[str, str]:
    return {"x-holdfast-dropped": safe(", ".join(fields))} if fields else {}


def _interruption(run: Run, failure: Failure) -> bytes:
    code = DEADLINE_EXCEEDED if failure.code == DEADLINE_EXCEEDED else "upstream_stream_broken"
    name = run.current.deployment if run.current else "the upstream"
    return error_event(f"{run.plan.route}: {name} broke off within the answer ({failure.code}).", code)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
