"""What every client of the matrix can be asked to do, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from proxy.core.wire import Wire

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A whole PNG file of one pixel."""
TOOLS = ("weather", "news")
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TRIP: dict[str, Any] = {
    "type": "object",
    "properties": {"city": CITY, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


class Call(NamedTuple):
    """One call of a tool."""

    id: str
    name: str
    arguments: Any


@dataclass
class Heard:
    """One answer, as the application has it."""

    headers: Mapping[str, str]
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    """In the client's own words."""
    usage: tuple[int, int] | None = None
    """Tokens of the prompt and of the answer."""
    ids: set[str] = field(default_factory=set)
    """Every id that the answer was given, in whichever event."""
    model: str = ""
    again: list[Any] = field(default_factory=list)
    """The turn, as it is sent back within the next request."""
    stopped_by: str | None = None
    answers: int = 1
    pieces: int = 0
    """Pieces of text that came apart."""


@dataclass(frozen=True)
class Ask:
    """One request; the question is the same."""

    image: bool = False
    tools: bool = False
    answered: Heard | None = None
    """An answer with calls, whose results are sent with this request."""
    schema: bool = False
    reasoning: bool = False
    cap: int | None = None
    stop: str | None = None
    answers: int = 1
    temperature: float | None = None


class Client(Protocol):
    """One row group: an SDK's way to ask at one endpoint."""

    name: str
    wire: Wire
    streams: bool
    cannot: Mapping[str, str]
    """Cases that its language has no words for, and why."""
    finishes: Mapping[str, str]
    """Why an answer ended (`stop`, `length`, `tools`, `refusal`), in its words."""

    only: frozenset[str] | None
    """The cases in which its bytes are not those of another client's; None for all."""

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:
        """Raises what the SDK raises."""
