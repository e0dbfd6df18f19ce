"""The last events, numbered, for those who follow what happens as it happens.

The feed keeps a bounded number of events; whoever follows asks for what came after the last number it has seen. A
follower that is too slow finds a gap in the numbers, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from proxy.core.event import Happening, RequestEnded
from proxy.core.names import DeploymentId

_KEPT = 1000
_SMALL = 1024
"""Bytes that may be kept with each event without a thought; making another event costs more."""
_encode = msgspec.json.Encoder().encode


class Told(NamedTuple):
    """One event: its number, what kind it is, when it happened (wall clock, seconds) and what it says."""

    number: int
    name: str
    at: float
    event: Happening

    def as_json(self) -> bytes:
        """One line of JSON."""
        return _encode({"event": self.name, "at": round(self.at, 3), **_plain(self.event)})


def _plain(event: Happening) -> dict[str, object]:
    """An event's members as plain data; a deployment is written as everywhere else."""
    return {name: _plain_value(getattr(event, name)) for name in _names(type(event)) if name != "usage"}


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else kind.__dataclass_fields__)


def _plain_value(value: object) -> object:
    if isinstance(value, DeploymentId):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


class Feed:
    """Listens to everything, and remembers the last of it."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, Happening]] = deque(maxlen=_KEPT)
        self._number = 0
        self._followers = 0
        """How many wait for news."""
        self._news: asyncio.Event = asyncio.Event()
        self.watched: Callable[[int], None] = lambda _change: None
        """Told of one more who follows (1), and of one less (-1)."""

    def __call__(self, event: Happening, at: float | None = None) -> None:
        """Listen to one event; `at` is when it happened by the wall clock, now if not given."""
        if isinstance(event, RequestEnded) and event.usage is not None and len(event.usage) > _SMALL:
            # The upstream's JSON is not told on; where it is large, it is not kept either.
            event = msgspec.structs.replace(event, usage=None)
        self._number += 1
        self._told.append((time.time() if at is None else at, event))
        if self._followers:
            self._news.set()

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Somebody follows, as long as this lasts."""
        self.watched(1)
        try:
            yield
        finally:
            self.watched(-1)

    def skip_to(self, number: int) -> None:
        """Go on with the numbers after this one, where another process has given those before."""
        self._number = max(self._number, number)

    @property
    def last(self) -> int:
        """The number of the newest event; 0 when nothing has happened."""
        return self._number

    def after(self, number: int) -> list[Told]:
        """What came after the given number, as far as it is remembered."""
        missed = min(max(self._number - number, 0), len(self._told))
        news = islice(self._told, len(self._told) - missed, None)
        return [
            Told(self._number - missed + place, type(event).__name__, at, event)
            for place, (at, event) in enumerate(news, 1)
        ]

    async def wait(self, number: int, patience: float) -> bool:
        """Wait until something came after `number`, at most `patience` seconds; whether it did."""
        self._followers += 1
        try:
            async with asyncio.timeout(patience):
                while self._number <= number:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        finally:
            self._followers -= 1
        return True
