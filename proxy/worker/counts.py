"""What is counted, for the metrics: by one worker, told to the supervisor; and by all of them, shown by any.

The supervisor keeps what each has told, also when it is gone, and passes it on with the answers to a question.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.telemetry.host_metrics import Counts
from proxy.telemetry.metrics import Metrics
from proxy.workers.link import Link


class CountsOfHost:
    """What the host has counted, as this worker knows it."""

    def __init__(self, link: Link, metrics: Metrics, tell_events: Callable[[], None]) -> None:
        """`tell_events` has everything counted that has happened up to now."""
        self.elsewhere: Counts = {}
        """What the others have counted, as the supervisor has told it last."""
        self.has_news = False
        """Whether something may have been counted since the supervisor was told."""
        self._link = link
        self._metrics = metrics
        self._tell_events = tell_events

    def tell_news(self) -> None:
        """Tell the supervisor what was counted here, if there is something new."""
        if self.has_news:
            self.has_news = False
            self._link.tell_supervisor("counts", self._metrics.counts())

    def tell(self) -> Counts:
        """Tell the supervisor what was counted here up to now; returns it."""
        self._tell_events()
        own = self._metrics.counts()
        self._link.tell_supervisor("counts", own)
        return own

    async def ask(self) -> Counts:
        """Have `elsewhere` brought up to date; returns what was counted here when it was asked for."""
        own = self.tell()
        await self._link.ask_all("counts")
        return own

    def page(self, own: Counts) -> bytes:
        """The metrics of the host, as Prometheus reads them."""
        return self._metrics.render_together(own, self.elsewhere)
