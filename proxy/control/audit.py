"""What operators changed, what reverted of it, and reloads: the last changes, with their times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from proxy.core.event import Controlled, Happening, Reloaded
from proxy.telemetry.feed import Told

_KEPT = 1000


class Audit:
    """Listens to everything, and remembers the last commands, which no traffic pushes out."""

    def __init__(self) -> None:
        self._told: deque[Told] = deque(maxlen=_KEPT)
        self._number = 0

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        if isinstance(event, Controlled | Reloaded):
            self._number += 1
            self._told.append(Told(self._number, type(event).__name__, time.time(), event))

    def newest_first(self) -> Iterator[Told]:
        """What is remembered."""
        return reversed(self._told)
