"""A circuit breaker: keeps requests away from a deployment that fails, and finds out when it is well again.

Theory of operation
-------------------

    closed ---- too many failures ----> open ---- its time is over ----> half-open
      ^                                   ^                                  |
      |                                   +------------- one failure --------+
      +----------------------- `close_after` successes ----------------------+

*Closed*: traffic flows. It opens on `consecutive` failures in a row, or when `error_rate` of at least
`minimum_requests` attempts within `window` have failed. *Open*: nothing is admitted. *Half-open*: at most `probes`
attempts are under way at a time; `close_after` successes close it, any failure opens it again.

Each opening without a stable time between (`settle`) doubles how long it stays open, from `open_for` to `max_open_for`;
up to a tenth is added by luck, also at the maximum, so that many breakers that opened together are not tried together.

Whoever is admitted gets the number of the current *period*, and hands it back with the outcome. Every change of state
begins a new period, so a report that comes late, about an attempt of an earlier period, changes nothing; an attempt
that was given up (`ignored`) only frees its place. Both together are why the counts of probes cannot drift.

`early` admission is for panic: when a whole chain is out, an open breaker may be tried before its time, under the rules
of half-open. If that fails or says nothing, the breaker is as it was: its time to wait grows no longer by it.
`early_at` spaces such attempts by a second, so that a panic is no way around the breaker.

Several processes of a host have a breaker each for one deployment. Each moves by itself, and the others `adopt` where
it stands, its *twin*: of two moves the later one holds, of two at one moment the one that lets less through.

The two rules to open are those of Envoy's outlier detection and resilience4j; periods are the latter's permissions.
`now` is monotonic, in seconds; `roll` is luck from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from proxy.core.plain import count, seconds
from proxy.policies.window import TimeWindow

_JITTER = 0.1
_EARLY_EVERY_S: Final = 1.0
NO_PERIOD: Final = -1
"""The period of an attempt that a breaker does not listen to."""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, how long it stays open, and what closes it; see `Breaker` in routes.yaml.

    `window`, `open_for` and `max_open_for` are in seconds, `error_rate` is a share from 0 to 1.
    """

    consecutive: int = 5
    error_rate: float = 0.6
    minimum_requests: int = 5
    window: float = 300.0
    open_for: float = 60.0
    max_open_for: float = 600.0
    probes: int = 2
    close_after: int = 2


class BreakerState(StrEnum):
    """Closed means that traffic flows."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


_CLOSED = BreakerState.CLOSED
_STRICTNESS: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Change(NamedTuple):
    """One change of state, and its cause: see `BreakerChanged` for the words."""

    source: BreakerState
    target: BreakerState
    cause: str
    duration: float | None = None
    """Of an opening: the seconds until it may be tried again; None for as long as an operator wants it."""


class Twin(NamedTuple):
    """Where a breaker stands, in the same clock's readings: for processes of one host, not for a file."""

    state: str
    changed_at: float
    open_until: float
    held_until: float
    openings: int
    successes: int
    forced: bool
    strict: bool
    early: bool
    early_at: float


class Distance(NamedTuple):
    """How far a closed breaker is from opening."""

    failures_left: int
    """Failures in a row that would open it."""
    error_rate: float | None
    threshold: float
    """The error rate that would open it."""
    share: float
    """From 1, nothing wrong, to 0, open."""


class Breaker:
    """One breaker. Methods that may change its state return the change, or None."""

    __slots__ = (
        "_early",
        "_early_at",
        "_held_until",
        "_open_until",
        "_openings",
        "_successes",
        "changed_at",
        "consecutive",
        "counts",
        "error_rate",
        "forced",
        "period",
        "probing",
        "rejected",
        "settings",
        "state",
        "strict",
    )

    def __init__(self, settings: BreakerSettings, now: float) -> None:
        self.settings = settings
        self.state = BreakerState.CLOSED
        self.period = 0
        self.counts = TimeWindow(settings.window)
        self.consecutive = 0
        """Failures in a row."""
        self.rejected = 0
        """Requests that were kept away, in all."""
        self.changed_at = now
        self.error_rate = settings.error_rate
        """The share of failures that opens it. Whoever learns a better one than the settings' may set it."""
        self.strict = False
        """A deployment that has just come back is given half the failures in a row before it is out again."""
        self.forced = False
        """Open because an operator said so: no probe and no panic tries it."""
        self._held_until = -math.inf
        self._open_until = -math.inf
        self._openings = 0
        self.probing = 0
        """Half-open: attempts that are under way to find out whether it is well."""
        self._successes = 0
        self._early = False
        self._early_at = -math.inf

    # What it lets through.

    def usable_at(self, now: float) -> float:
        """When the next attempt may be made: now, later, or infinity when nobody can know."""
        if self.state is _CLOSED:
            return now
        if self.state is BreakerState.OPEN:
            return max(now, self._open_until)
        if self._has_place:
            return now
        # Where a panic is trying it, its own time is still known.
        return self._open_until if self._early and self._open_until > now else math.inf

    @property
    def early_at(self) -> float:
        """From when on a panic may try it while it is open; infinity where an operator has opened it."""
        return math.inf if self.forced else self._early_at

    @property
    def _has_place(self) -> bool:
        """Half-open, it asks no more than it needs: neither at a time nor to make up its mind."""
        settings = self.settings
        enough = self.probing + self._successes >= max(settings.probes, settings.close_after)
        return self.probing < settings.probes and not enough

    def admit(self, now: float, *, early: bool = False) -> tuple[int, Change | None] | None:
        """The period for one attempt, or None if none may be made. `early` asks in a panic."""
        if self.state is _CLOSED:
            return self.period, None
        change = None
        if self.state is BreakerState.OPEN:
            in_time = now >= self._open_until
            if not in_time and (self.forced or not early):
                return None
            change = self._move(BreakerState.HALF_OPEN, "time" if in_time else "panic", now)
            self._early = not in_time
            if self._early:
                self._early_at = now + _EARLY_EVERY_S
        elif not self._has_place:
            return None
        self.probing += 1
        return self.period, change

    def watch(self) -> int:
        """The period for an attempt that was admitted elsewhere, and whose outcome this breaker is told, too."""
        return self.period if self.state is _CLOSED else NO_PERIOD

    # What it hears.

    def succeeded(self, period: int, now: float) -> Change | None:
        """An attempt of a period came to a good end."""
        if period != self.period:
            return None
        if self.state is _CLOSED:
            self.consecutive = 0
            self.counts.add(False, now)
            return None
        self.probing -= 1
        self._successes += 1
        if self._successes < self.settings.close_after:
            return None
        return self._close("probes_succeeded", now)

    def failed(self, period: int, now: float, roll: float) -> Change | None:
        """An attempt of a period failed in a way that counts against the deployment."""
        if period != self.period:
            return None
        if self.state is _CLOSED:
            self.count_failure(now)
            return self.judge(now, roll)
        if self._early:
            return self._reopen(now)
        return self._open("probe_failed", now, roll)

    def ignored(self, period: int, now: float) -> Change | None:
        """An attempt of a period was given up: it frees its place and says nothing."""
        if period != self.period or self.state is not BreakerState.HALF_OPEN:
            return None
        self.probing -= 1
        if not self._early or self.probing or self._successes:
            return None
        return self._reopen(now)

    def count_failure(self, now: float) -> None:
        """Count a failure of a closed breaker, and leave it to `judge` what that means."""
        self.consecutive += 1
        self.counts.add(True, now)

    def judge(self, now: float, roll: float) -> Change | None:
        """Open it if what it has counted calls for that."""
        if self.state is not _CLOSED or now < self._held_until:
            return None
        cause = self._reason_to_open()
        return None if cause is None else self._open(cause, now, roll)

    def settle(self) -> None:
        """The deployment has been stable for long enough: the next opening is a first one again."""
        self._openings = 0
        self.strict = False

    # What operators want.

    def force_open(self, now: float, duration: float | None) -> Change | None:
        """Open it, for so many seconds or until it is closed by hand; no probe and no panic tries it meanwhile."""
        self.forced = True
        self._open_until = math.inf if duration is None else now + duration
        return self._move(BreakerState.OPEN, "operator", now, duration)

    def force_close(self, now: float, duration: float | None) -> Change | None:
        """Close it; for `duration` seconds no failure opens it again."""
        self._held_until = -math.inf if duration is None else now + duration
        return self._close("operator", now)

    def reset(self, now: float) -> Change | None:
        """Close it, and forget what led to its opening."""
        self._openings = 0
        self.strict = False
        self._held_until = -math.inf
        return self._close("operator", now)

    # What it shows.

    def distance(self, now: float) -> Distance:
        """How far it is from opening."""
        left = self._allowed_failures() - self.consecutive
        rate = self.counts.error_rate(now)
        if self.state is not BreakerState.CLOSED:
            return Distance(0, rate, self.error_rate, 0.0)
        by_row = left / self._allowed_failures()
        by_rate = 1.0
        if rate:
            known = min(1.0, self.counts.total / self.settings.minimum_requests)
            by_rate = 1.0 - known * min(1.0, rate / self.error_rate)
        return Distance(max(0, left), rate, self.error_rate, max(0.0, min(by_row, by_rate)))

    def as_state(self, now: float) -> dict[str, object]:
        """What should survive a restart, as plain data: durations from this moment on, never clock readings."""
        return {
            "state": self.state.value,
            "left": self._left(self._open_until, now),
            "openings": self._openings,
            "consecutive": self.consecutive,
            "forced": self.forced,
            "held": self._left(self._held_until, now),
            "rejected": self.rejected,
        }

    def restore(self, state: Mapping[str, object], elapsed: float, now: float) -> None:
        """Take up what `as_state` told `elapsed` seconds ago. What makes no sense is left out."""
        self._openings = count(state.get("openings"))
        self.rejected = count(state.get("rejected"))
        self.consecutive = min(count(state.get("consecutive")), self.settings.consecutive - 1)
        held = seconds(state.get("held"))
        self._held_until = now + held - elapsed if held is not None else -math.inf
        if state.get("state") not in (BreakerState.OPEN.value, BreakerState.HALF_OPEN.value):
            return
        left = seconds(state.get("left"))
        self.forced = state.get("forced") is True
        if left is None:
            # Without a duration it is open until somebody closes it; only an operator can have wanted that.
            self._open_until = math.inf if self.forced else now
        else:
            longest = left if self.forced else self.settings.max_open_for * (1 + _JITTER)
            self._open_until = now + max(0.0, min(left, longest) - elapsed)
        self._openings = max(1, self._openings)
        self._move(BreakerState.OPEN, "restart", now)

    def take_over(self, other: Breaker, now: float) -> None:
        """Go on in place of a breaker with other settings. What was admitted by it is not listened to any more."""
        self.restore(other.as_state(now), 0.0, now)
        self.period = other.period + 1

    # What others of the same host know.

    @property
    def episode(self) -> float:
        """What tells one opening from the next, in every process of the host: when it is over."""
        return self._open_until

    def twin(self) -> Twin:
        """Where it stands, for others that guard the same deployment on the same host."""
        return Twin(
            self.state.value,
            self.changed_at,
            self._open_until,
            self._held_until,
            self._openings,
            self._successes,
            self.forced,
            self.strict,
            self._early,
            self._early_at,
        )

    def adopt(self, twin: Twin) -> bool:
        """Go where another one stands, unless this one has changed since; whether its state is another one now.

        Of two that changed in the same moment both go to the one that lets less through.
        """
        state = BreakerState(twin.state)
        if state is self.state is BreakerState.HALF_OPEN and twin.open_until == self._open_until:
            # Both were let in at the same time, each by its own: what they find out counts together.
            self._successes = max(self._successes, twin.successes)
            self.changed_at = max(self.changed_at, twin.changed_at)
            return False
        if (twin.changed_at, _STRICTNESS[state]) < (self.changed_at, _STRICTNESS[self.state]):
            return False
        same = twin.changed_at == self.changed_at and state is self.state
        successes = max(self._successes, twin.successes) if self.state is state else twin.successes
        moved = self.state is not state
        if not same:
            self._move(state, "elsewhere", twin.changed_at)
        self._open_until, self._held_until, self._openings = twin.open_until, twin.held_until, twin.openings
        self.forced, self.strict, self._early, self._early_at = twin.forced, twin.strict, twin.early, twin.early_at
        self._successes = successes
        return moved

    def _reason_to_open(self) -> str | None:
        settings = self.settings
        if self.consecutive >= self._allowed_failures():
            return "relapse" if self.strict else "consecutive_failures"
        counts = self.counts
        if counts.total >= settings.minimum_requests and counts.failed >= self.error_rate * counts.total:
            return "error_rate"
        return None

    def _allowed_failures(self) -> int:
        return max(1, self.settings.consecutive // 2) if self.strict else self.settings.consecutive

    def _open(self, cause: str, now: float, roll: float) -> Change | None:
        settings = self.settings
        # The exponent is bounded so that a long outage cannot overflow; the maximum is reached long before.
        grown = min(settings.max_open_for, settings.open_for * 2.0 ** min(self._openings, 64))
        duration = grown * (1 + _JITTER * roll)
        self._openings += 1
        self._open_until = now + duration
        return self._move(BreakerState.OPEN, cause, now, duration)

    def _reopen(self, now: float) -> Change | None:
        """A panic has found nothing good. That is no reason to wait longer than before."""
        return self._move(BreakerState.OPEN, "panic", now, max(0.0, self._open_until - now))

    def _close(self, cause: str, now: float) -> Change | None:
        self._open_until = -math.inf
        self.forced = False
        return self._move(BreakerState.CLOSED, cause, now)

    def _move(self, target: BreakerState, cause: str, now: float, duration: float | None = None) -> Change | None:
        source = self.state
        self.state = target
        self.period += 1
        self.changed_at = now
        self.probing = self._successes = 0
        self._early = False
        if target is not BreakerState.OPEN:
            self.forced = False
        if target is BreakerState.CLOSED:
            self.consecutive = 0
            self.counts.clear()
        if source is target:
            return None
        return Change(source, target, cause, duration)

    def _left(self, until: float, now: float) -> float | None:
        return max(0.0, until - now) if math.isfinite(until) else None
