"""The last events, numbered, for those who follow what happens as it happens.

The feed keeps a bounded number of events; whoever follows asks for what came after the last number it has seen. A
follower that is too slow finds a gap in the numbers, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, repeat
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
        self._told: deque[Happening] = deque(maxlen=_KEPT)
        self._times: deque[float] = deque(maxlen=_KEPT)
        """When each of them happened."""
        self._number = 0
        self._followers = 0
        """How many wait for news."""
        self._news: asyncio.Event = asyncio.Event()
        self.watched: Callable[[int], None] = lambda _change: None
        """Told of one more who follows (1), and of one less (-1)."""

    def __call__(self, event: Happening, at: float | None = None) -> None:
        """Listen to one event; `at` is when it happened by the wall clock, now if not given."""
        self._keep((event,), time.time() if at is None else at)

    def hear_all(self, events: Iterable[Happening]) -> None:
        """Listen to all events of one moment."""
        self._keep(tuple(events), time.time())

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
        news = islice(zip(self._times, self._told, strict=True), len(self._told) - missed, None)
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

    def _keep(self, events: Sequence[Happening], at: float) -> None:
        self._told.extend([_without_much(event) if event.__class__ is RequestEnded else event for event in events])
        self._times.extend(repeat(at, len(events)))
        self._number += len(events)
        if self._followers:
            self._news.set()


def _without_much(record: RequestEnded) -> RequestEnded:
    """The upstream's JSON is not told on; where it is large, it is not kept either."""
    if record.usage is None or len(record.usage) <= _SMALL:
        return record
    return msgspec.structs.replace(record, usage=None)
