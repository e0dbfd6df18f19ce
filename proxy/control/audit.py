"""What operators changed, what reverted of it, and reloads: the last changes, with their times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator

from proxy.core.event import Controlled, Happening, Reloaded
from proxy.telemetry.feed import Told

_KEPT = 1000


class Audit:
    """Remembers the last commands, which no traffic pushes out."""

    hears = frozenset({Controlled, Reloaded})

    def __init__(self) -> None:
        self._told: deque[Told] = deque(maxlen=_KEPT)
        self._number = 0

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        assert isinstance(event, Controlled | Reloaded)  # noqa: S101 - it hears no others
        self.add(event, time.time())

    def add(self, event: Controlled | Reloaded, at: float) -> None:
        """Remember a change, which happened at a time of the wall clock."""
        self._number += 1
        self._told.append(Told(self._number, type(event).__name__, at, event))

    def all(self) -> list[Told]:
        """What is remembered, for another process of the host."""
        return list(self._told)

    def take_up(self, told: Iterable[Told]) -> None:
        """Remember what another process of the host remembers."""
        self._told.extend(told)
        self._number = self._told[-1].number if self._told else 0

    def newest_first(self) -> Iterator[Told]:
        """What is remembered."""
        return reversed(self._told)
