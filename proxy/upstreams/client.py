"""One call to one deployment: the request in the upstream's own language, and what came back, classified.

A call ends as a `Failure`, as a whole JSON answer, or as a stream whose events are about to be read; nothing else gets
past this file. Status codes, error bodies and content types are judged here, by the dialect's tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Raw, Struct

from proxy.config.settings import UpstreamSettings
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.core.secrets import mask
from proxy.dialects import headroom
from proxy.dialects.failures import classify, classify_in_band
from proxy.dialects.openai.chat import Completion, event_reader, read_answer, write_request
from proxy.dialects.openai.continuing import continued, wanted
from proxy.dialects.openai.graft import ChatGraft, Resumption
from proxy.dialects.openai.pattern import pattern_of
from proxy.dialects.prefill import Prefill, prefill_of
from proxy.dialects.registry import Kind, auth
from proxy.streams.resume import PREFILL, Continuation, HoldBack, ResumeMode
from proxy.streams.splice import Splice
from proxy.upstreams.transport import Exchange, Target, Transport, TransportError

_MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of a JSON answer; a longer one is a fault of the upstream, or a decompression bomb."""
_MAX_ERROR = 64 * 1024
_ERROR_PATIENCE_S = 5.0
"""Seconds for the body of an error answer: its status has already said what matters."""
_ADDED_FIELDS = ("stream_options",)
"""Fields that a request may have upstream without the client's doing."""
_WAYS = frozenset(ResumeMode)
"""What else a deployment may turn out to be no good for: ways to go on with an answer."""
_PASSED_HEADERS = ("openai-processing-ms", "openai-version", "x-ratelimit-limit-requests",
                   "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens",
                   "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")  # fmt: skip
"""The upstream's headers that a client may see, in OpenAI's spelling."""
_PASSED = {name.encode(): name for name in _PASSED_HEADERS}
_TELLING = frozenset(name.encode() for name in headroom.NAMES)
"""The headers of a good answer that tell of limits; most upstreams send none of them."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class JsonReply(Struct, frozen=True):
    """A whole, checked answer. `body` is what the client gets."""

    completion: Completion
    headers: Mapping[str, str]
    """What the client may see of the upstream's headers."""
    all_headers: Mapping[str, str]
    """All of them, by lower-case names; empty if they tell nothing of limits."""
    dropped: tuple[str, ...]
    """Fields of the request that this deployment does not take and that were left out."""


class StreamReply(Struct, frozen=True):
    """A stream that has begun: its head is in, none of its events is read yet."""

    exchange: Exchange
    splice: Splice
    headers: Mapping[str, str]
    """As in `JsonReply`."""
    all_headers: Mapping[str, str]
    dropped: tuple[str, ...]


class Timers(NamedTuple):
    """The limits of one attempt: `connect` and `idle` in seconds, the others as moments on the loop's clock."""

    connect: float
    first_until: float
    idle: float
    deadline: float


class Ask(Struct, frozen=True):
    """What one deployment is asked."""

    request: ModelRequest
    without: Collection[str] = ()
    """Fields of the request that it has rejected."""
    hold: HoldBack = HoldBack.NONE
    """What of a stream is kept back until it is complete."""
    resumption: Resumption | None = None
    """To go on with a broken answer; the stream then continues what the client has seen."""


class UpstreamClient:
    """Calls deployments. Holds credentials; shows them to nobody but their upstream."""

    def __init__(self, upstreams: Mapping[str, UpstreamSettings], transport: Transport) -> None:
        self._upstreams = upstreams
        self._transport = transport
        self._targets: dict[tuple[str, int, str], Target] = {}
        """By upstream, key and address: the last is another one only where an answer is to be gone on with."""

    async def call(
        self, deployment: DeploymentId, key: int, ask: Ask, timers: Timers
    ) -> JsonReply | StreamReply | Failure:
        """Make one call. Whatever goes wrong comes back as a failure, without the upstream's keys in its message."""
        reply = await self._call(self._upstreams[deployment.upstream], deployment, key, ask, timers)
        return self.judged(reply, deployment, ask) if isinstance(reply, Failure) else reply

    def judged(self, failure: Failure, deployment: DeploymentId, ask: Ask) -> Failure:
        """A failure as it counts, also one that came within a stream: without keys, and for what was really sent."""
        if failure.kind is FailureClass.PARAMETER_UNSUPPORTED:
            sent = {*ask.request.fields, *_ADDED_FIELDS, *_WAYS}
            if ask.resumption is None or ask.resumption.continuation.mode is not ResumeMode.PREFILL:
                sent.discard(PREFILL)
            if failure.param not in sent:
                # What was never sent cannot be left out: asking again would get the same answer.
                failure = replace(failure, kind=FailureClass.CALLER_FAULT)
        return _masked(failure, self._upstreams[deployment.upstream].keys)

    def prefill(self, deployment: DeploymentId) -> Prefill | None:
        """How a deployment is made to go on with a trailing assistant message; None if it is not known to do that."""
        upstream = self._upstreams[deployment.upstream]
        facts = upstream.models.get(deployment.model)
        return prefill_of(upstream.kind.name, deployment.model, facts.prefill if facts else None)

    def _continued(
        self, fields: Mapping[str, Raw], address: str, deployment: DeploymentId, asked: Continuation
    ) -> tuple[Mapping[str, Raw], str]:
        """The request to go on with an answer, and the address for it."""
        prefill = self.prefill(deployment)
        if prefill is not None and asked.mode is ResumeMode.PREFILL:
            address = prefill.address(address)
        return continued(fields, asked, prefill), address

    async def _call(
        self, upstream: UpstreamSettings, deployment: DeploymentId, key: int, ask: Ask, timers: Timers
    ) -> JsonReply | StreamReply | Failure:
        fields, address = ask.request.fields, upstream.base_url
        if ask.resumption is not None:
            fields, address = self._continued(fields, address, deployment, ask.resumption.continuation)
        body, dropped = write_request(fields, deployment.model, upstream.kind.quirks, ask.without)
        exchange: Exchange | None = None
        streaming = False
        try:
            target = self._target(upstream, key, address)
            exchange = await self._transport.post(target, body, connect=timers.connect, until=timers.first_until)
            reply = await _read_reply(upstream.kind, exchange, ask, timers, dropped)
        except TransportError as error:
            return error.failure
        except TimeoutError:
            if timers.first_until >= timers.deadline:
                return Failure(FailureClass.TIMEOUT, DEADLINE_EXCEEDED, "the request's deadline is over")
            return Failure(FailureClass.TIMEOUT, "first_token_timeout", "no answer in time")
        else:
            streaming = isinstance(reply, StreamReply)
            return reply
        finally:
            if exchange is not None and not streaming:
                exchange.close()

    def _target(self, upstream: UpstreamSettings, key: int, address: str) -> Target:
        known = self._targets.get((upstream.name, key, address))
        if known is None:
            headers = {**upstream.kind.headers, **auth(upstream.kind, upstream.keys[key] if upstream.keys else None)}
            known = self._transport.target(upstream.name, address + "/chat/completions", headers)
            self._targets[upstream.name, key, address] = known
        return known


def _masked(failure: Failure, keys: tuple[str, ...]) -> Failure:
    """A failure in whose texts no credential shows, wherever the upstream echoed one."""
    told = (failure.message, failure.error_type, failure.error_code, failure.param)
    masked = tuple([mask(text, keys) if text else text for text in told])
    if masked == told:
        return failure
    message, error_type, error_code, param = masked
    return replace(failure, message=message or "", error_type=error_type, error_code=error_code, param=param)


def _splice(kind: Kind, ask: Ask) -> Splice:
    def error(data: bytes) -> Failure:
        return classify_in_band(kind.name, data, time.time())

    request, hold = ask.request, ask.hold
    if hold is HoldBack.ALL and not wanted(request.fields).structured:
        hold = HoldBack.TOOLS
    return Splice(
        read := event_reader(kind.quirks),
        error,
        show_usage=request.include_usage,
        choices=request.choices,
        hold=hold,
        graft=None if ask.resumption is None else ChatGraft(ask.resumption),
        learn=partial(pattern_of, read=read),
    )


async def _read_reply(
    kind: Kind, exchange: Exchange, ask: Ask, timers: Timers, dropped: tuple[str, ...]
) -> JsonReply | StreamReply | Failure:
    """What an exchange whose head is in brings."""
    if exchange.status != 200:
        return await _read_failure(kind, exchange, timers.deadline)
    fields = exchange.answer.fields
    headers = _NO_HEADERS if _TELLING.isdisjoint(fields) else exchange.answer.headers
    passed = {_PASSED[name]: exchange.answer.field(name) for name in fields.keys() & _PASSED.keys()}
    if not ask.request.stream:
        answer = exchange.whole() or await _read_json(exchange, timers)
        checked = _check(kind, answer)
        return checked if isinstance(checked, Failure) else JsonReply(checked, passed, headers, dropped)
    if exchange.answer.field(b"content-type").partition(";")[0].strip().lower() != "text/event-stream":
        return await _read_no_stream(kind, exchange, timers)
    return StreamReply(exchange, _splice(kind, ask), passed, headers, dropped)


async def _read_failure(kind: Kind, exchange: Exchange, deadline: float) -> Failure:
    """The failure of an answer that is not a 200. Its body may be late or broken: the status alone is enough."""
    body = exchange.whole()
    if body is None:
        until = min(deadline, asyncio.get_running_loop().time() + _ERROR_PATIENCE_S)
        read = bytearray()
        try:
            while len(read) < _MAX_ERROR and (data := await exchange.read(until)):
                read += data
        except (TimeoutError, TransportError):
            pass
        body = bytes(read)
    return classify(kind.name, exchange.status, exchange.answer.headers, body[:_MAX_ERROR], time.time())


async def _read_json(exchange: Exchange, timers: Timers) -> bytes | Failure:
    """A whole body. Blank lines that keep the connection alive (DeepSeek sends them) feed no timer."""
    clock = asyncio.get_running_loop().time
    pieces: list[bytes] = []
    size = 0
    until, code = timers.first_until, "first_token_timeout"
    while size <= _MAX_ANSWER:
        if until >= timers.deadline:
            until, code = timers.deadline, DEADLINE_EXCEEDED
        try:
            data = await exchange.read(until)
        except TimeoutError:
            return Failure(FailureClass.TIMEOUT, code, "the answer did not arrive in time")
        if not data:
            return b"".join(pieces)
        if size or data.strip():
            pieces.append(data)
            size += len(data)
            until, code = clock() + timers.idle, "idle_timeout"
    return Failure(FailureClass.BAD_ANSWER, "answer_too_large", "the answer is too large")


def _check(kind: Kind, answer: bytes | Failure) -> Completion | Failure:
    return answer if isinstance(answer, Failure) else read_answer(answer, kind.quirks, kind.name, time.time())


async def _read_no_stream(kind: Kind, exchange: Exchange, timers: Timers) -> Failure:
    """A 200 that is no stream though one was asked for: often an error in disguise, which is worth reading."""
    answer = await _read_json(exchange, timers)
    checked = _check(kind, answer)
    if isinstance(checked, Failure):
        return checked
    return Failure(FailureClass.BAD_ANSWER, "not_a_stream", "the answer is not an event stream")
