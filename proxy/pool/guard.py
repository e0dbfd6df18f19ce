"""What stands before a deployment under one set of rules: its breaker, its limit, its way back, its outlook.

A deployment has one guard for each distinct set of rules that steps reach it by; routes with equal rules share it. An
attempt is admitted by the guard of its own step, and its outcome is told to all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

from proxy.config.settings import Rules
from proxy.core.event import BreakerChanged, Happening, RampStarted, Recovered, TrendChanged
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import Breaker, BreakerState, Change, Twin
from proxy.policies.concurrency import ConcurrencyLimit
from proxy.policies.habits import Habits
from proxy.policies.slow_start import Recovery
from proxy.policies.trend import Trend

_NOTHING: tuple[Happening, ...] = ()
_TOO_MUCH = {FailureClass.OVERLOADED, FailureClass.RATE_LIMITED, FailureClass.TIMEOUT}
"""What may come of too many attempts at once."""


class GuardTwin(NamedTuple):
    """Where a guard stands, in the clock's readings: for processes of one host, not for a file."""

    mark: int
    breaker: Twin
    recovery: tuple[float | None, float | None]
    out_since: float | None
    returning: bool


def mark(rules: Rules) -> int:
    """What tells a set of rules from others, in every process."""
    return zlib.crc32(repr(rules).encode())


class Guard:
    """One set of rules at work. Methods return what happened, for others to tell."""

    __slots__ = ("breaker", "diverted", "habits", "id", "limit", "out_since", "recovery", "returning", "rules", "trend")

    def __init__(self, id: DeploymentId, rules: Rules, now: float) -> None:  # noqa: A002 - the word for it, as in Pool
        self.id = id
        self.rules = rules
        self.breaker = Breaker(rules.breaker, now)
        self.limit = ConcurrencyLimit(rules.limit)
        self.recovery = Recovery(rules.recovery)
        self.trend = Trend(rules.foresight)
        self.habits = Habits()
        self.out_since: float | None = None
        """When the breaker first opened, of a time of trouble that is not over."""
        self.returning = False
        """Whether it is on its way back: ramping, or watched."""
        self.diverted = 0.0
        """The share of traffic that a bad trend moves away, as of the last `tick`."""

    def share(self, now: float) -> float:
        """Of the requests that would come here, how many should, from 0 to 1."""
        ramp = self.recovery.share(now) if self.returning else 1.0
        return ramp * (1.0 - self.diverted)

    def succeeded(
        self, period: int, seconds: float | None, now: float, hour: int, *, stream: bool, in_flight: int
    ) -> Sequence[Happening]:
        """An attempt was answered, `seconds` after it began (a stream: with its first content; None for a probe)."""
        if self.limit.adaptive:
            self.limit.succeeded(in_flight)
        foresight = self.rules.foresight
        if foresight.trend and seconds is not None:
            self.trend.observe(False, seconds, stream, now)
        if foresight.adaptive:
            self._learn(False, hour)
        change = self.breaker.succeeded(period, now)
        return self.follow(change, now) if change is not None else _NOTHING

    def failed(
        self,
        period: int,
        failure: Failure,
        now: float,
        hour: int,
        roll: float,
        *,
        stream: bool,
        counted: bool = False,
    ) -> Sequence[Happening]:
        """An attempt failed; whether that counts is the failure's own verdict. `counted`: as a success, half-open."""
        self._note(failure, now, hour, stream=stream)
        if not failure.verdict.counts:
            return _NOTHING if counted else self.ignored(period, now)
        return self.follow(self.breaker.failed(period, now, roll), now)

    def failed_elsewhere(self, now: float) -> None:
        """An attempt of another process of this host failed, which counts; leave it to `judge` what that means."""
        breaker = self.breaker
        # What came before it moved has been judged already, by whoever moved it.
        if breaker.state is BreakerState.CLOSED and now >= breaker.changed_at:
            breaker.count_failure(now)

    def judge(self, now: float, roll: float) -> Sequence[Happening]:
        """Open the breaker, if what was counted elsewhere and here calls for it."""
        change = self.breaker.judge(now, roll)
        return self.follow(change, now) if change is not None else _NOTHING

    def ignored(self, period: int, now: float) -> Sequence[Happening]:
        """An attempt said nothing about the deployment."""
        change = self.breaker.ignored(period, now)
        return self.follow(change, now) if change is not None else _NOTHING

    def follow(self, change: Change | None, now: float) -> Sequence[Happening]:
        """What a change of the breaker brings with it."""
        if change is None:
            return _NOTHING
        events: list[Happening] = [BreakerChanged(self.id, *change)]
        if change.target is BreakerState.OPEN:
            self.recovery.relapse()
            self.out_since = now if self.out_since is None else self.out_since
        elif change.target is BreakerState.CLOSED and self.out_since is not None:
            self.recovery.begin(self.out_since, now)
            self.returning = self.breaker.strict = True
            events.append(RampStarted(self.id, self.rules.recovery.ramp))
        return events

    def tick(self, now: float, hour: int) -> Sequence[Happening]:
        """What time alone brings: a recovery that has settled, a trend that began or passed."""
        events: list[Happening] = []
        if self.returning:
            self.breaker.strict = self.recovery.phase(now) == "ramping"
            lasted = self.recovery.settled(now)
            if lasted is not None:
                self.breaker.settle()
                self.returning, self.out_since = False, None
                events.append(Recovered(self.id, lasted))
        before = self.diverted
        self.diverted = self.trend.diverted(now) if self.rules.foresight.trend else 0.0
        if (before > 0) != (self.diverted > 0):
            outlook = self.trend.outlook(now)
            events.append(TrendChanged(self.id, outlook.reason if outlook is not None else None, self.diverted))
        if self.rules.foresight.adaptive:
            self.breaker.error_rate = self.habits.error_rate(self.rules.breaker.error_rate, hour)
        return events

    def close(self, now: float, duration: float | None) -> Sequence[Happening]:
        """An operator knows that it is well: no ramp, and for `duration` seconds no failure opens it."""
        self._forget_outage()
        change = self.breaker.force_close(now, duration)
        return [BreakerChanged(self.id, *change)] if change is not None else _NOTHING

    def reset(self, now: float) -> Sequence[Happening]:
        """Forget all trouble."""
        self._forget_outage()
        self.trend, self.diverted = Trend(self.rules.foresight), 0.0
        change = self.breaker.reset(now)
        return [BreakerChanged(self.id, *change)] if change is not None else _NOTHING

    def change_rules(self, rules: Rules, now: float) -> None:
        """Go by other rules from now on. Parts whose rules are the same stay as they are. A breaker whose rules are
        others begins to count anew, but an opening is not forgotten."""
        before, self.rules = self.rules, rules
        if rules.breaker != before.breaker:
            breaker = Breaker(rules.breaker, now)
            breaker.take_over(self.breaker, now)
            breaker.strict = self.breaker.strict
            self.breaker = breaker
        if rules.limit != before.limit:
            self.limit = ConcurrencyLimit(rules.limit)
        if rules.recovery != before.recovery:
            recovery = Recovery(rules.recovery)
            recovery.restore(self.recovery.as_state(now), now)
            self.recovery = recovery
        if rules.foresight != before.foresight:
            self.trend = Trend(rules.foresight)
            self.breaker.error_rate = rules.breaker.error_rate

    def twin(self) -> GuardTwin:
        """Where it stands, for the guard of the same rules in another process of this host."""
        return GuardTwin(mark(self.rules), self.breaker.twin(), self.recovery.twin(), self.out_since, self.returning)

    def adopt(self, twin: GuardTwin) -> bool:
        """Go where another one stands, unless this one has changed since; whether it is on its way back since now."""
        changed_at = self.breaker.changed_at
        moved = self.breaker.adopt(twin.breaker)
        if not moved and changed_at > twin.breaker.changed_at:
            return False
        self.recovery.adopt(twin.recovery)
        began = twin.returning and not self.returning
        self.out_since, self.returning = twin.out_since, twin.returning
        if moved and twin.breaker.state == BreakerState.CLOSED and not twin.returning:
            # By an operator, who knows that it is well.
            self.trend, self.diverted = Trend(self.rules.foresight), 0.0
        return began

    def as_state(self, now: float) -> dict[str, object]:
        """What should survive a restart, as plain data: durations, never clock readings."""
        return {
            "rules": list(astuple(self.rules.breaker)),
            "breaker": self.breaker.as_state(now),
            "recovery": self.recovery.as_state(now) if self.returning else None,
            "out_for": now - self.out_since if self.out_since is not None else None,
            "habits": self.habits.as_state() if self.rules.foresight.adaptive else None,
        }

    def restore(self, state: Mapping[str, object], elapsed: float, now: float) -> None:
        """Take up what `as_state` told `elapsed` seconds ago. What makes no sense is left out."""
        if isinstance(breaker := state.get("breaker"), Mapping):
            self.breaker.restore(breaker, elapsed, now)
        if isinstance(habits := state.get("habits"), Mapping):
            self.habits.restore(habits)
        out_for = state.get("out_for")
        closed = self.breaker.state is BreakerState.CLOSED
        if isinstance(recovery := state.get("recovery"), Mapping) and closed:
            self.recovery.restore(recovery, now)
            self.returning = self.recovery.phase(now) != "steady"
        elif not closed:
            known = isinstance(out_for, int | float) and 0 <= out_for < 1e9
            self.out_since = now - float(out_for) if known and isinstance(out_for, int | float) else now

    def _forget_outage(self) -> None:
        self.recovery = Recovery(self.rules.recovery)
        self.out_since, self.returning = None, False
        self.breaker.strict = False

    def _note(self, failure: Failure, now: float, hour: int, *, stream: bool) -> None:
        """What a failure says, besides what the breaker hears of it."""
        if failure.kind in _TOO_MUCH:
            self.limit.overloaded(now)
        if not failure.verdict.counts:
            return
        foresight = self.rules.foresight
        if foresight.trend:
            self.trend.observe(True, None, stream, now)
        if foresight.adaptive:
            self._learn(True, hour)

    def _learn(self, failed: bool, hour: int) -> None:
        self.habits.observe(failed, hour)
