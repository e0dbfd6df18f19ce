"""Events of one worker, told to the others; and those of the others, shown here as well."""

from __future__ import annotations

import time

from msgspec import structs

from proxy.control.audit import Audit
from proxy.core.event import (
    AttemptEnded,
    BudgetRefused,
    Controlled,
    Degraded,
    FailedOver,
    Happening,
    Hedged,
    Reloaded,
    RequestEnded,
    ResumeEnded,
    Shed,
    StreamInterrupted,
)
from proxy.telemetry.feed import Feed
from proxy.telemetry.metrics import Metrics
from proxy.workers.link import Link
from proxy.workers.table import Counts

_OF_REQUESTS = (
    AttemptEnded,
    BudgetRefused,
    Degraded,
    FailedOver,
    Hedged,
    RequestEnded,
    ResumeEnded,
    Shed,
    StreamInterrupted,
)
"""Events that come with every request or nearly so: told only while somebody follows them."""
_FOLLOWERS = "followers "
"""The name of a count; no upstream has a space in its name."""
_SLACK = 2000
"""Numbers of events that a new leader leaves out, so that none is given twice."""


class EventsOfHost:
    """What happens in any worker is known to all. The leader numbers it, for those who follow."""

    def __init__(self, link: Link, places: Counts, feed: Feed, audit: Audit, metrics: Metrics) -> None:
        """Whoever follows is counted in `places`, for the others to see."""
        self.last_known = 0
        """The number of the last event, as the leader has told it."""
        self._link = link
        self._places = places
        self._feed = feed
        self._audit = audit
        self._metrics = metrics
        self._followings: list[int | None] = []
        """The places in the count of those who follow."""
        feed.watched = self._followed

    def tell(self, event: Happening, *, leads: bool) -> None:
        """Something happened here."""
        if not isinstance(event, _OF_REQUESTS):
            self._link.tell("event", time.time(), event)
        elif not leads and self._places.total(_FOLLOWERS):
            told = structs.replace(event, usage=None) if isinstance(event, RequestEnded) else event
            self._link.tell_leader_soon("event", time.time(), told)

    def note_elsewhere(self, at: float, event: Happening) -> None:
        """Something happened in another worker, which has counted and logged it."""
        self._feed(event, at)
        if isinstance(event, Controlled | Reloaded):
            self._audit.add(event, at)
        self._metrics.note_elsewhere(event)

    def lead(self) -> None:
        """From now on the numbers are given here."""
        self._feed.skip_to(self.last_known + _SLACK)

    def tell_last(self) -> None:
        """Tell the others the number of the last event, for whoever leads next."""
        if self.last_known != self._feed.last:
            self.last_known = self._feed.last
            self._link.tell("last_event", self.last_known)

    def _followed(self, change: int) -> None:
        """Somebody has begun to follow the events, or has ceased to. The others are told by a count."""
        if change > 0:
            self._followings.append(self._places.take(_FOLLOWERS)[0])
        elif self._followings:
            self._places.free(self._followings.pop())
