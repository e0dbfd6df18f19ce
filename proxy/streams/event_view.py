"""What the stream machine needs to know of one event, and no more.

A dialect reads an event's data and returns an `EventView`; `splice.py` decides from the view alone, so it knows no
provider's language.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class EventKind(Enum):
    """What one event of a stream is, for the purposes of forwarding."""

    CONTENT = "content"
    """Carries something of the answer: text, a tool call, reasoning, a refusal, audio."""
    NO_CONTENT = "no content"
    """Well-formed, but carries nothing of the answer: a role, an empty delta, a finish reason alone."""
    USAGE = "usage"
    """Only the usage: `choices` is empty. Shown to those who asked for it."""
    DONE = "done"
    """The terminal marker."""
    ERROR = "error"
    """An error inside a 200."""
    MALFORMED = "malformed"
    """Not what the wire allows. Never forwarded."""


class EventView(NamedTuple):
    """One event as the stream machine sees it."""

    kind: EventKind
    started: tuple[int, ...] = ()
    """Indexes of the choices that the event speaks of."""
    finished: tuple[int, ...] = ()
    """Indexes of the choices that the event finishes."""
    may_be_empty: bool = False
    """The finish reason explains an answer without content: a length limit, a content filter."""
    edited: bytes | None = None
    """The event's data as it must be forwarded, where that differs from what was received."""
    calls: tuple[int, ...] = ()
    """Indexes of the tool calls of which the event carries a piece."""


SAYS = EventView(EventKind.CONTENT, (0,))
"""The view of nearly every event, made once: a stream of one choice that goes on, with something that is no call."""
