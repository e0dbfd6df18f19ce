"""The requests of one of several processes, counted in for the host."""

from __future__ import annotations

from proxy.server.lifecycle import Lifecycle, Work
from proxy.workers.table import Counts
from proxy.workers.tasks import CountedTasks


class CountedLifecycle(Lifecycle):
    """As of one process; how many requests run is known, and bounded, over all."""

    def __init__(self, places: Counts) -> None:
        self._counted = CountedTasks(places)
        super().__init__(running=self._counted)

    def admit(self, work: Work, limit: int) -> bool:
        """Count a request in, once, unless so many run on this host already."""
        return self._counted.add_within(work, limit)
