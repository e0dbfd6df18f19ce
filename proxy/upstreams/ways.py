"""How one deployment is asked what a client asks: in the client's own language, or translated.

Each kind of upstream speaks some languages itself. In those, requests, answers and events pass through. Everything else
goes through a chat completion: the client's request is made one, if it is none; a deployment that does not speak
OpenAI's chat is asked in its dialect; what comes back is a chat completion again, or chat events.

    client's wire == a wire of the upstream's    SameWire, or PlainChat where that is chat
    else, upstream speaks OpenAI's chat          PlainChat
    else                                         Translated
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple, Protocol

from msgspec import Raw, Struct

from proxy.config.settings import UpstreamSettings
from proxy.core.failure import Failure
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire, own_form_of
from proxy.dialects.caps import within
from proxy.dialects.client_wire import ClientWire
from proxy.dialects.dialect import ChatAsked, Dialect, NotCarriedError, Outgoing, Reading, Translator
from proxy.dialects.embeddings import EMBEDDINGS
from proxy.dialects.failures import classify_in_band
from proxy.dialects.languages import CLIENT_WIRES, DIALECTS, chat_fields
from proxy.dialects.messages.encoder import STOP_EVENT
from proxy.dialects.messages.fitting import fitted
from proxy.dialects.no_answer import without_bom
from proxy.dialects.openai.chat import Completion, event_reader, pieces, read_answer, write_request
from proxy.dialects.openai.continuing import wanted
from proxy.dialects.openai.families import refused_by
from proxy.dialects.openai.graft import ChatGraft, Resumption
from proxy.dialects.openai.pattern import pattern_of
from proxy.dialects.registry import Kind, Quirks, path_at
from proxy.dialects.responses.own_items import without_own_items
from proxy.streams.resume import HoldBack
from proxy.streams.splice import DONE_EVENT, Splice
from proxy.upstreams.transport import UnderWay

_PLAIN: Final = Quirks(developer_role=True)
"""The habits of chat completions that our own translations write."""
_MARKERS: Final = {Wire.COMPLETIONS: DONE_EVENT, Wire.MESSAGES: STOP_EVENT}
"""Terminal markers that say nothing of the answer, and so can be added where they are missing."""
_TOLD_AS: Final[Mapping[Wire, Mapping[str, str]]] = {
    Wire.RESPONSES: {"reasoning": "reasoning_effort", "max_output_tokens": "max_completion_tokens"},
    Wire.MESSAGES: {"thinking": "reasoning_effort", "max_tokens": "(required)"},
}
"""Fields of clients' own languages, by the names under which a refusal of them is told and remembered."""
_OPENAIS: Final = frozenset({"openai", "azure"})
"""Kinds at which a model's name may be OpenAI's."""
_LARGE_FIELDS: Final = {Wire.COMPLETIONS: "prompt", Wire.RESPONSES: "input", Wire.EMBEDDINGS: "input"}


class Ask(Struct, frozen=True):
    """What one deployment is asked."""

    request: ModelRequest
    without: Collection[str] = ()
    """Fields of the request that it has rejected."""
    hold: HoldBack = HoldBack.NONE
    """What of a stream is kept back until it is complete."""
    resumption: Resumption | None = None
    """To go on with a broken answer; the stream then continues what the client has seen."""
    begun: UnderWay | None = None
    """It is under way already."""


class Letter(NamedTuple):
    """One request to one deployment, on its way."""

    ask: Ask
    fields: Mapping[str, Raw]
    """What is asked, in the language that the way takes in: the client's own, or chat."""
    upstream: UpstreamSettings
    model: str


class Way(Protocol):
    """One of the ways to ask."""

    wire: Wire
    """The language of what comes back."""
    translates: bool
    """Whether the upstream's own language is another one."""

    def write(self, letter: Letter) -> Outgoing:
        """The upstream's request. Raises NotCarriedError."""

    def read(self, body: bytes, letter: Letter, sent: Outgoing) -> Completion | Failure:
        """A whole answer of status 200."""

    def splice(self, letter: Letter, sent: Outgoing) -> Splice:
        """The machine for one stream."""


class _PlainChat:
    """OpenAI's chat completions, with a provider's quirks."""

    wire = Wire.CHAT
    translates = False

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._quirks = kind.quirks
        self._path = kind.paths[Wire.CHAT]
        self._is_openais = kind.name in _OPENAIS

    def write(self, letter: Letter) -> Outgoing:
        ask, fields, upstream, model = letter
        without = ask.without
        if self._is_openais and (refused := refused_by(model)):
            without = {*without, *refused}
        if (most := upstream.facts(model).max_output) is not None:
            fields = within(fields, Wire.CHAT, most)
        body, dropped = write_request(fields, model, self._quirks, without)
        return Outgoing(_path_to(letter, self._path) if upstream.options else self._path, body, dropped)

    def read(self, body: bytes, letter: Letter, sent: Outgoing) -> Completion | Failure:
        del letter, sent
        return read_answer(body, self._kind.quirks, self._kind.name, time.time())

    def splice(self, letter: Letter, sent: Outgoing) -> Splice:
        del sent
        return chat_splice(self._kind, letter.ask)


class _SameWire:
    """A language that the upstream shares with the client, and that is not chat."""

    translates = False

    def __init__(self, kind: Kind, wire: ClientWire) -> None:
        self.wire = wire.wire
        self._kind = kind
        self._client_wire = wire
        self._path = kind.paths[wire.wire]

    def write(self, letter: Letter) -> Outgoing:
        without = letter.ask.without
        dropped: tuple[str, ...] = ()
        fields = within(letter.fields, self.wire, letter.upstream.facts(letter.model).max_output)
        if self.wire is Wire.RESPONSES:
            fields = without_own_items(fields)
        elif self.wire is Wire.MESSAGES and self._kind.dialect == "anthropic":
            fields, dropped = fitted(fields, letter.model)
        body: dict[str, Raw | str] = {**fields, "model": letter.model}
        if without:
            told = _TOLD_AS.get(self.wire, {})
            refused = tuple(name for name in body if told.get(name, name) in without)
            dropped += refused
            body = {name: value for name, value in body.items() if name not in refused}
        large = _LARGE_FIELDS.get(self.wire, "messages")
        return Outgoing(_path_to(letter, self._path), pieces(body, large), dropped, letter.ask.request.headers)

    def read(self, body: bytes, letter: Letter, sent: Outgoing) -> Completion | Failure:
        del letter, sent
        return self._client_wire.read(body, self._kind.name, time.time())

    def splice(self, letter: Letter, sent: Outgoing) -> Splice:
        del sent
        ask, reader = letter.ask, self._client_wire.event_reader()
        return Splice(
            reader,
            self._failure,
            show_usage=self.wire is not Wire.COMPLETIONS or ask.request.include_usage,
            choices=ask.request.choices,
            hold=_hold(ask),
            marker=_MARKERS.get(self.wire, b""),
            told_usage=lambda: reader.usage,
        )

    def _failure(self, data: bytes) -> Failure:
        return self._client_wire.failure(data, self._kind.name, time.time())


class _Embeddings(_SameWire):
    """Embeddings, of which as many have to come back as were asked for."""

    def read(self, body: bytes, letter: Letter, sent: Outgoing) -> Completion | Failure:
        del sent
        return EMBEDDINGS.read(body, self._kind.name, time.time(), EMBEDDINGS.inputs(letter.ask.request))


class _Translated:
    """A language of the upstream's own."""

    wire = Wire.CHAT
    translates = True

    def __init__(self, kind: Kind, dialect: Dialect) -> None:
        self._kind = kind
        self._dialect = dialect

    def write(self, letter: Letter) -> Outgoing:
        ask, upstream = letter.ask, letter.upstream
        facts = upstream.facts(letter.model)
        asked = ChatAsked(letter.fields, letter.model, ask.request.stream, ask.without, facts, upstream.options)
        return self._dialect.write(asked)

    def read(self, body: bytes, letter: Letter, sent: Outgoing) -> Completion | Failure:
        answer = self._dialect.read(without_bom(body), _reading(letter, sent))
        return answer if isinstance(answer, Failure) else read_answer(answer, _PLAIN, self._kind.name, time.time())

    def splice(self, letter: Letter, sent: Outgoing) -> Splice:
        translator = self._dialect.translator(_reading(letter, sent))
        return _chat_splice(self._kind.name, _PLAIN, letter.ask, translator)


def way_of(kind: Kind, ask: Ask) -> Way:
    """The way to ask a kind of upstream. Continuations, and what it does not know in the client's form, go by chat."""
    wire = ask.request.wire
    if wire is not Wire.CHAT and (ask.resumption is not None or own_form_of(wire) in ask.without):
        wire = Wire.CHAT
    ways = _ways[wire]
    found = ways.get(kind.name)
    if found is None:
        found = ways[kind.name] = _way(kind, wire)
    return found


_ways: dict[Wire, dict[str, Way]] = {wire: {} for wire in Wire}


def _path_to(letter: Letter, path: str) -> str:
    """The path below the upstream's address, which its options may change."""
    upstream = letter.upstream
    return path_at(upstream.kind, path, letter.model, upstream.options)


def _way(kind: Kind, wire: Wire) -> Way:
    if wire is Wire.EMBEDDINGS and wire in kind.paths:
        return _Embeddings(kind, EMBEDDINGS)
    if wire is not Wire.CHAT and wire in kind.paths:
        return _SameWire(kind, CLIENT_WIRES[wire])
    return _PlainChat(kind) if kind.dialect is None else _Translated(kind, DIALECTS[kind.dialect])


def fields_for(way: Way, request: ModelRequest) -> Mapping[str, Raw]:
    """A client's request in the language that a way takes in. Raises NotCarriedError."""
    return request.fields if way.wire is request.wire else chat_fields(request)


def names_sent(way: Way, fields: Mapping[str, Raw]) -> Iterable[str]:
    """The names under which fields that a way takes in can have been refused."""
    told = _TOLD_AS.get(way.wire, {})
    return (told.get(name, name) for name in fields)


@cache
def _error_reader(kind: str) -> Callable[[bytes], Failure]:
    def read(data: bytes) -> Failure:
        return classify_in_band(kind, data, time.time())

    return read


def chat_splice(kind: Kind, ask: Ask) -> Splice:
    """The machine for one stream of a kind of upstream that speaks OpenAI's chat completions."""
    return _chat_splice(kind.name, kind.quirks, ask)


def _chat_splice(kind: str, quirks: Quirks, ask: Ask, translator: Translator | None = None) -> Splice:
    return Splice(
        event_reader(quirks),
        _error_reader(kind),
        # Whoever translates needs the usage, and shows it as the client's own language wants.
        show_usage=ask.request.include_usage or ask.request.wire is not Wire.CHAT,
        choices=ask.request.choices,
        hold=_hold(ask),
        graft=None if ask.resumption is None else ChatGraft(ask.resumption),
        learn=pattern_of,
        translator=translator,
    )


def _hold(ask: Ask) -> HoldBack:
    if ask.hold is not HoldBack.ALL:
        return ask.hold
    try:
        structured = wanted(chat_fields(ask.request)).structured
    except NotCarriedError:
        # Nobody else could be asked to go on with it, so there is nothing to gain by holding it.
        return HoldBack.NONE
    return ask.hold if structured else HoldBack.TOOLS


def _reading(letter: Letter, sent: Outgoing) -> Reading:
    return Reading(letter.model, f"chatcmpl-{random.getrandbits(96):024x}", int(time.time()), sent.names)
