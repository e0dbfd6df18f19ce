"""What a language of upstreams other than OpenAI's has to bring: requests out of chat completions, and the way back.

OpenAI's chat completion is what everything is translated from and to. A dialect is sans-IO: it takes the top level of a
chat request and writes the upstream's; it makes a chat completion of the upstream's answer, and chat events of the
upstream's stream. The stream machine, the timers, the resuming of broken streams and the books know chat only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from msgspec import Raw, Struct

from proxy.core.facts import ModelFacts
from proxy.core.failure import Failure
from proxy.dialects.openai.chat import Pieces

_NONE: Mapping[str, str] = MappingProxyType({})
NO_FACTS = ModelFacts()


class NotCarriedError(Exception):
    """Something in the request has no counterpart in the upstream's language, and without it would mean another thing.

    Raised before anything is sent: in a chain the next deployment is asked; if there is none the client is told.
    """

    def __init__(self, message: str, param: str) -> None:
        """`message` says what cannot be carried over and why, as a client may read it; `param` is the chat field."""
        super().__init__(message)
        self.param = param


class ChatAsked(Struct, frozen=True):
    """One chat request, and who is asked."""

    fields: Mapping[str, Raw]
    """The top level of the chat request, its values as raw JSON."""
    model: str
    """The model, as the upstream knows it."""
    stream: bool = False
    without: Collection[str] = ()
    """Chat fields that this model has refused."""
    facts: ModelFacts = NO_FACTS
    options: Mapping[str, str | int | float | bool] = MappingProxyType({})
    """What routes.yaml sets for this upstream alone, by the names of `Kind.options`."""


class Outgoing(Struct, frozen=True):
    """A request, as an upstream wants it."""

    path: str
    """Added to the upstream's address; begins with a slash, and may end in a query."""
    body: Pieces
    dropped: tuple[str, ...] = ()
    """Chat fields that were left out, since the upstream has nothing like them and the answer is as good without."""
    headers: Mapping[str, str] = _NONE
    """Of this request alone, besides those of its upstream."""
    names: Mapping[str, str] = _NONE
    """Names of tools that had to be spelled otherwise: as sent -> as the client knows them."""


class Reading(Struct, frozen=True):
    """What it takes to read one answer."""

    model: str
    """The model that was asked; told to the client where the answer does not say better."""
    id: str
    """An id for the answer where the upstream gives none: `chatcmpl-` and random characters."""
    created: int
    """Seconds since the epoch."""
    names: Mapping[str, str] = _NONE
    """As in `Outgoing`."""


class Translator(Protocol):
    """Turns one upstream's stream into chat events, incrementally."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as received, split anywhere; returns the chat events that they complete, as server-sent events.

        In the order of the wire: the role, deltas, the finish reason, the usage, `[DONE]`; the last two only once the
        upstream's own terminal marker was seen. An error of the upstream becomes an event whose data is its JSON, with
        a top-level `error`; what cannot be understood becomes `MALFORMED` of `chat_events.py`. Never raises.
        """

    def end(self) -> bytes:
        """The upstream has ended its body: what that completes. Nothing if its terminal marker is missing."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A language of upstreams."""

    name: str
    write: Callable[[ChatAsked], Outgoing]
    """The upstream's request. Raises NotCarriedError."""
    read: Callable[[bytes, Reading], bytes | Failure]
    """A whole answer of status 200 as the JSON of a chat completion, or the failure that it is. Never raises.

    What is said and whether it is anything is judged by the caller, as for every chat completion. An error in disguise
    goes back as it came: it is classified by the caller.
    """
    translator: Callable[[Reading], Translator]
    """For one stream."""
