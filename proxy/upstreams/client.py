"""One call to one deployment: the request on the way that it takes (`ways.py`), and what came back, classified.

A call ends as a `Failure`, as a whole answer in the client's language, or as a stream whose events are about to be
read; nothing else gets past this file. Status codes, error bodies and content types are judged here.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from msgspec import Raw, structs

from proxy.config.settings import UpstreamSettings
from proxy.core.facts import Price
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire, own_form_of
from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.bound import BOUND, EXTENSIONS, without_bound, without_extensions
from proxy.dialects.client_wire import ClientWire, Speaking
from proxy.dialects.dialect import NotCarriedError, Outgoing
from proxy.dialects.languages import CLIENT_WIRES, chat_fields
from proxy.dialects.openai.chat import Completion
from proxy.dialects.openai.continuing import continued, own_beginning
from proxy.dialects.prefill import Prefill, prefill_of
from proxy.dialects.registry import Kind, auth, path_at
from proxy.streams.resume import PREFILL, Continuation, ResumeMode
from proxy.upstreams.error_answer import masked, read_error_answer
from proxy.upstreams.headers import media_type, notable
from proxy.upstreams.prepared_call import PreparedCall
from proxy.upstreams.replies import EVENT_STREAM, JsonReply, StreamReply
from proxy.upstreams.signing import is_signing_key, region_of, signed
from proxy.upstreams.transport import Exchange, Target, Transport, TransportError
from proxy.upstreams.ways import Ask, Letter, Way, fields_for, names_sent, way_of

_MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of a JSON answer; a longer one is a fault of the upstream, or a decompression bomb."""
_MOST_TARGETS = 1024
"""Heads that are kept, by upstream, key, address and headers."""
_NO_SUCH_PATH = frozenset({404, 405, 501})
_LACKING = frozenset({FailureClass.MODEL_GONE, FailureClass.NOT_CARRIED, FailureClass.UNKNOWN})
"""What such a status means, where nothing else in the error says better."""
_NO_SUCH_MODEL = frozenset({"model_not_found", "deploymentnotfound", "model_decommissioned"})
_ADDED_FIELDS = ("stream_options",)
"""Fields that a request may have upstream without the client's doing."""
_WAYS = frozenset(ResumeMode)
"""What else a deployment may turn out to be no good for: ways to go on with an answer."""


class Timers(NamedTuple):
    """The limits of one attempt: `connect` and `idle` in seconds, the others as moments on the loop's clock."""

    connect: float
    first_until: float
    idle: float
    deadline: float


class UpstreamClient:
    """Calls deployments. Holds credentials; shows them to nobody but their upstream."""

    def __init__(self, upstreams: Mapping[str, UpstreamSettings], transport: Transport) -> None:
        self._upstreams = upstreams
        self._transport = transport
        self._targets: dict[tuple[str, int, str, str], Target] = {}
        """By upstream, key, address and path: nearly all requests to an upstream have the same ones."""

    async def call(
        self, deployment: DeploymentId, key: int, ask: Ask, timers: Timers
    ) -> JsonReply | StreamReply | Failure:
        """Make one call. Whatever goes wrong comes back as a failure, without the upstream's keys in its message."""
        reply = await self._call(self._upstreams[deployment.upstream], deployment, key, ask, timers)
        return self.judged(reply, deployment, ask) if isinstance(reply, Failure) else reply

    def prepared(self, deployment: DeploymentId) -> PreparedCall | None:
        """How a deployment is asked for nearly all whole answers; None where each request is worked out for itself."""
        upstream = self._upstreams[deployment.upstream]
        kind = upstream.kind
        if kind.dialect is not None or Wire.CHAT not in kind.paths:
            return None
        sent = Outgoing(path_at(kind, kind.paths[Wire.CHAT], deployment.model, upstream.options), ())
        try:
            keys = range(max(1, len(upstream.keys)))
            targets = [self._target(upstream, sent, key, upstream.base_url, Wire.CHAT) for key in keys]
        except TransportError:
            return None
        return PreparedCall(self._transport, upstream, deployment.model, targets)

    def judged(self, failure: Failure, deployment: DeploymentId, ask: Ask) -> Failure:
        """A failure as it counts, also one that came within a stream: without keys, and for what was really sent."""
        kind = self._upstreams[deployment.upstream].kind
        if failure.kind is FailureClass.PARAMETER_UNSUPPORTED and failure.param not in self._sent(kind, ask):
            # What was never sent cannot be left out: asking again would get the same answer.
            failure = replace(failure, kind=FailureClass.CALLER_FAULT)
        return masked(failure, self._upstreams[deployment.upstream])

    @staticmethod
    def _sent(kind: Kind, ask: Ask) -> set[str]:
        """What a deployment can have refused: the names under which it can be left out."""
        way = way_of(kind, ask)
        fields = fields_for(way, ask.request)
        sent = {*names_sent(way, fields), *_ADDED_FIELDS, *_WAYS, own_form_of(ask.request.wire)}
        if without_bound(fields, way.wire) is not fields:
            sent.add(BOUND)
        if way.wire is Wire.CHAT and without_extensions(fields) is not fields:
            sent.add(EXTENSIONS)
        if ask.resumption is None or ask.resumption.continuation.mode is not ResumeMode.PREFILL:
            sent.discard(PREFILL)
        return sent

    def prefill(self, deployment: DeploymentId) -> Prefill | None:
        """How a deployment is made to go on with a trailing assistant message; None if it is not known to do that."""
        upstream = self._upstreams[deployment.upstream]
        return prefill_of(upstream.kind.name, deployment.model, upstream.facts(deployment.model).prefill)

    def price(self, deployment: DeploymentId) -> Price | None:
        """What a deployment costs, where that is known."""
        return self._upstreams[deployment.upstream].facts(deployment.model).price

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
        exchange: Exchange | None = None
        streaming = False
        address = upstream.base_url
        try:
            way = way_of(upstream.kind, ask)
            fields = ask.request.fields
            if way.wire is not ask.request.wire or ask.without or ask.resumption is not None:
                fields, address = self._adapted(way, ask, deployment, address)
            letter = Letter(ask, fields, upstream, deployment.model)
            sent = way.write(letter)
            if way.wire is not ask.request.wire:
                sent = _with_all_dropped(sent, ask.request)
            target = self._target(upstream, sent, key, address, way.wire)
            exchange = await self._transport.post(
                target, sent.body, connect=timers.connect, until=timers.first_until, begun=ask.begun
            )
            reply = await _read_reply(way, letter, sent, exchange, timers)
        except NotCarriedError as error:
            return Failure(FailureClass.NOT_CARRIED, "not_carried", str(error), param=error.param)
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

    def _adapted(self, way: Way, ask: Ask, deployment: DeploymentId, address: str) -> tuple[Mapping[str, Raw], str]:
        """The request as a way takes it in, without what was refused, and its address. Raises NotCarriedError."""
        fields = fields_for(way, ask.request)
        if ask.resumption is not None:
            fields, address = self._continued(fields, address, deployment, ask.resumption.continuation)
        elif ask.request.wire is Wire.MESSAGES and way.wire is Wire.CHAT:
            self._check_beginning(fields, deployment)
        return _cleaned(fields, way, ask) if ask.without else fields, address

    def _check_beginning(self, fields: Mapping[str, Raw], deployment: DeploymentId) -> None:
        """Raises NotCarriedError if the client has begun the answer, and the model would begin another one.

        On Anthropic's wire such a message is the beginning of the answer; on OpenAI's it is an earlier turn.
        """
        if not own_beginning(fields):
            return
        prefill = self.prefill(deployment)
        if prefill is None or not prefill.is_plain:
            message = (
                "This model does not go on with an answer that the request begins: end with a message of the user's."
            )
            raise NotCarriedError(message, "messages")

    def _target(self, upstream: UpstreamSettings, sent: Outgoing, key: int, address: str, wire: Wire) -> Target:
        path = sent.path
        if not sent.headers:
            known = self._targets.get((upstream.name, key, address, path))
            if known is not None:
                return known
        kind, options, url = upstream.kind, upstream.options, address + path
        told = {header: str(options[name]) for name, header in kind.option_headers.items() if name in options}
        credential = upstream.keys[key] if upstream.keys else None
        headers = {**kind.headers, **told, **sent.headers}
        if kind.signs and credential is not None and is_signing_key(credential):
            region = str(options.get("region") or region_of(url))
            signature = signed("POST", url, headers, sent.body, credential, region, time.time())
            return self._transport.target(upstream.name, url, {**headers, **signature}, keep=False)
        keep = not sent.headers  # what clients add may be different every time
        target = self._transport.target(upstream.name, url, {**headers, **auth(kind, credential, wire)}, keep=keep)
        if keep:
            if len(self._targets) >= _MOST_TARGETS:
                self._targets.clear()
            self._targets[upstream.name, key, address, path] = target
        return target


async def _read_reply(
    way: Way, letter: Letter, sent: Outgoing, exchange: Exchange, timers: Timers
) -> JsonReply | StreamReply | Failure:
    """What an exchange whose head is in brings."""
    kind, request = letter.upstream.kind, letter.ask.request
    if exchange.status != 200:
        failure = await read_error_answer(kind.name, exchange, timers.deadline)
        return failure if way.wire is Wire.CHAT else _own_form_refused(failure, letter)
    passed, limits = notable(exchange.answer)
    if not request.stream:
        answer = exchange.whole() or await _read_json(exchange, timers)
        checked = answer if isinstance(answer, Failure) else way.read(answer, letter, sent)
        if isinstance(checked, Failure):
            return checked
        if way.wire is not request.wire:
            checked = _in_own_words(checked, letter)
        return JsonReply(checked, passed, limits, sent.dropped, way.wire)
    if media_type(exchange.answer) != (kind.stream_type if way.translates else EVENT_STREAM):
        return await _read_no_stream(way, letter, sent, exchange, timers)
    exchange.answer.forget_head()
    return StreamReply(exchange, way.splice(letter, sent), passed, limits, sent.dropped, way.wire)


def _cleaned(fields: Mapping[str, Raw], way: Way, ask: Ask) -> Mapping[str, Raw]:
    """A request without the parts that were refused."""
    if BOUND in ask.without:
        fields = without_bound(fields, way.wire)
    return without_extensions(fields) if EXTENSIONS in ask.without and way.wire is Wire.CHAT else fields


def _with_all_dropped(sent: Outgoing, request: ModelRequest) -> Outgoing:
    """What is sent, with the client's own names of all that was left out on the way."""
    spoken = CLIENT_WIRES[request.wire]
    names = [*spoken.dropped(request), *(_own_name(name, spoken, request) for name in sent.dropped)]
    return structs.replace(sent, dropped=tuple(dict.fromkeys(names))) if names else sent


def _own_name(name: str, spoken: ClientWire, request: ModelRequest) -> str:
    """What a field of chat is called in the client's request."""
    return next((own for own in spoken.names.get(name, ()) if own.partition(".")[0] in request.fields), name)


def _in_own_words(completion: Completion, letter: Letter) -> Completion:
    """A chat completion in the client's language."""
    request = letter.ask.request
    speaking = Speaking(request, f"{random.getrandbits(96):024x}", int(time.time()))
    return structs.replace(completion, body=CLIENT_WIRES[request.wire].from_chat(completion.body, speaking))


def _own_form_refused(failure: Failure, letter: Letter) -> Failure:
    """A failure on a wire of the client's own. A server that lacks it can be asked for a chat completion instead.

    What cannot be asked so is no reason to rest the deployment: those who ask for something else are served there.
    """
    request, kind = letter.ask.request, letter.upstream.kind
    if failure.status not in _NO_SUCH_PATH or failure.kind not in _LACKING or _names_model(failure, letter.model):
        return failure
    try:
        chat_fields(request)
    except NotCarriedError:
        return replace(failure, kind=FailureClass.NOT_CARRIED)
    if kind.dialect == ANTHROPIC.name and request.wire is Wire.MESSAGES:
        # Its chat is asked at the same path: it is something in the request that is not there.
        return replace(failure, kind=FailureClass.NOT_CARRIED)
    return replace(failure, kind=FailureClass.PARAMETER_UNSUPPORTED, param=own_form_of(request.wire))


def _names_model(failure: Failure, model: str) -> bool:
    """Whether an upstream says that it is the model which it does not know, rather than the path."""
    if (failure.error_code or "").lower() in _NO_SUCH_MODEL:
        return True
    return re.search(rf"(?<!\w){re.escape(model)}(?!\w)", failure.message, re.IGNORECASE) is not None


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


async def _read_no_stream(way: Way, letter: Letter, sent: Outgoing, exchange: Exchange, timers: Timers) -> Failure:
    """A 200 that is no stream though one was asked for: often an error in disguise, which is worth reading."""
    answer = await _read_json(exchange, timers)
    checked = answer if isinstance(answer, Failure) else way.read(answer, letter, sent)
    if isinstance(checked, Failure):
        return checked
    return Failure(FailureClass.BAD_ANSWER, "not_a_stream", "the answer is not an event stream")
