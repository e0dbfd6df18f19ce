"""The requests that one of several processes works at, counted for the host."""

from __future__ import annotations

from typing import Any, Final

from proxy.workers.table import Counts

_IN_FLIGHT: Final = "requests "
"""The name of the count; no upstream has a space in its name."""


class CountedTasks(set[Any]):
    """What works at this process's requests, counted for the host: its length is that of all processes together."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts
        self._places: dict[object, int | None] = {}

    def add(self, work: object) -> None:
        """Count one more."""
        self._places[work] = self._counts.take(_IN_FLIGHT)[0]
        super().add(work)

    def add_within(self, work: object, limit: int) -> bool:
        """Count one more, unless it is one too many for the host; nobody is counted twice.

        It counts itself in first: of two processes that do so at the same moment, never are both let in.
        """
        if work in self:
            return True
        if len(self) >= limit:
            return False
        place, running = self._counts.take(_IN_FLIGHT)
        if running > limit:
            self._counts.free(place)
            return False
        self._places[work] = place
        super().add(work)
        return True

    def discard(self, work: object) -> None:
        """Count one less."""
        if work in self:
            self._counts.free(self._places.pop(work))
            super().discard(work)

    def __len__(self) -> int:
        return self._counts.total(_IN_FLIGHT)
