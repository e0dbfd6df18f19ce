"""The steps that an answer on the wire is made of.

A *script* is a sequence of steps. The faults are written as scripts, which are plain data, and `behaviour.py` performs
them on a connection. A script that runs out of steps ends its answer cleanly and keeps the connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Head:
    """Send status and headers; the body is chunked unless its `length` in bytes is given."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes of the body as one piece."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Keep the connection open, in silence, until the client leaves."""


@dataclass(frozen=True, slots=True)
class BreakOff:
    """End the connection without ending the answer: by a TCP reset, or by a FIN when `reset` is false."""

    reset: bool = True


Step: TypeAlias = Head | Send | Sleep | Hang | BreakOff
Script: TypeAlias = Iterator[Step]
