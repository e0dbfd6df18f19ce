"""The requests that one of several processes works at, counted for the host."""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.workers.table import Counts

_IN_FLIGHT: Final = "requests "
"""The name of the count; no upstream has a space in its name."""


class CountedTasks(set[asyncio.Task[None]]):
    """The tasks of this process's requests, counted for the host: its length is that of all processes together."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts
        self._places: dict[asyncio.Task[None], int | None] = {}

    def add(self, task: asyncio.Task[None]) -> None:
        """Count one more."""
        self._places[task] = self._counts.take(_IN_FLIGHT)[0]
        super().add(task)

    def discard(self, task: object) -> None:
        """Count one less."""
        if isinstance(task, asyncio.Task) and task in self:
            self._counts.free(self._places.pop(task))
            super().discard(task)

    def __len__(self) -> int:
        return self._counts.total(_IN_FLIGHT)
