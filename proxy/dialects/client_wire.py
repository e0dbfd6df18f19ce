"""What a language of clients other than chat completions has to bring, so that any upstream can answer in it.

Where the upstream speaks the client's own language, requests, answers and events pass through as they came, and are
only read as far as it takes to tell good from bad. Everywhere else the request is translated into a chat completion,
and what comes back, as a chat completion or chat events, into the client's language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Raw, Struct

from proxy.core.errors import ClientError
from proxy.core.failure import Failure
from proxy.core.request import Body, ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.dialect import Reading, Translator
from proxy.dialects.openai.chat import Completion
from proxy.streams.event_view import EventKind, EventView

_MAY_TELL = (EventKind.USAGE, EventKind.DONE)


class Speaking(Struct, frozen=True):
    """What it takes to write one answer in a client's language."""

    request: ModelRequest
    """The client's request, in its own language."""
    id: str
    """Random characters, for whatever in the answer needs an id of its own."""
    created: int
    """Seconds since the epoch."""


class Encoder(Protocol):
    """Turns the chat events of one stream into events of the client's language."""

    def feed(self, data: bytes) -> bytes:
        """Take whole chat events that were found good; returns events for the client."""

    def adopt(self, data: bytes) -> None:
        """Take whole events of the client's own language that somebody else has sent, to go on from there with the
        ids and the places that the client knows. Never raises."""

    def error(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """The events that end a stream which cannot be finished; see `core/errors.py: error_event`."""


class EventReader(Protocol):
    """Reads the events of one stream in a client's own language."""

    def __call__(self, data: bytes) -> EventView:
        """What the stream machine needs to know of an event, from its data. Never raises."""

    @property
    def usage(self) -> bytes | None:
        """`{"usage": ...}` in the chat form, as told so far; None if nothing was."""


class LastUsage:
    """An event reader for languages in which one event tells the whole usage."""

    __slots__ = ("_read", "_usage_of", "usage")

    def __init__(self, read: Callable[[bytes], EventView], usage_of: Callable[[bytes], bytes | None]) -> None:
        self._read = read
        self._usage_of = usage_of
        self.usage: bytes | None = None

    def __call__(self, data: bytes) -> EventView:
        """As of an `EventReader`."""
        view = self._read(data)
        if view.kind in _MAY_TELL or view.finished:
            self.usage = self._usage_of(data) or self.usage
        return view


class ClientWire(Protocol):
    """A language of clients."""

    wire: Wire

    def parse(self, body: Body) -> ModelRequest:
        """Understand a request body. Raises ClientError (400) that names the field and the cure."""

    def to_chat(self, request: ModelRequest) -> Mapping[str, Raw]:
        """The same request as a chat completion's top level. Raises NotCarriedError."""

    names: Mapping[str, Sequence[str]]
    """Fields of chat whose names are others here: what they are made of, the first that a request has."""

    def dropped(self, request: ModelRequest) -> Sequence[str]:
        """What `to_chat` leaves out of a request that it carries, by the client's names. Never raises."""

    def from_chat(self, answer: bytes, speaking: Speaking) -> bytes:
        """A whole chat completion, found good, in the client's language."""

    def encoder(self, speaking: Speaking) -> Encoder:
        """For one stream."""

    def error_body(self, error: ClientError, request_id: str) -> bytes:
        """The body of an error answer."""

    # Where an upstream speaks the same language.

    def read(self, body: bytes, kind: str, now: float) -> Completion | Failure:
        """A whole answer of status 200, or the failure that it is: empty, invalid, an error in disguise. Never raises.

        `kind` and `now` are those of `dialects/failures.py: classify_in_band`.
        """

    def event_reader(self) -> EventReader:
        """For one stream."""

    def failure(self, data: bytes, kind: str, now: float) -> Failure:
        """The failure that the data of an event is that was read as `ERROR`. Never raises."""

    def broken(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """As `Encoder.error`, for a stream whose events passed through."""

    def to_chat_events(self, reading: Reading) -> Translator:
        """Its events as chat events: what was said, should somebody else have to go on with it."""
