"""Giving traffic back gradually to a deployment that was out, and telling when it has really recovered.

Theory of operation: a breaker that closes says that a probe or two succeeded, not that the deployment bears its full
load: caches are cold, a model may still be loading, and the traffic of everybody else comes back at the same moment. So
a comeback has three phases::

    steady --begin--> ramping --ramp seconds--> watched --stable seconds--> steady (settled, once)
                         |                         |
                         +-------- relapse --------+----> out again, until the next begin

While ramping it gets elapsed / ramp of its normal traffic, never under 10 %, since with nothing to answer it could not
prove itself (Envoy's slow start with aggression 1 and its minimum weight of 10 %). Watched, it gets everything, but it
is not called recovered: a deployment that falls out again every minute has one long outage, not many short ones.
Therefore the outage counts from the first trouble of all, over any number of relapses, until `settled`.

Clocks do not survive a restart, so what is saved are durations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from proxy.core.plain import seconds

_LEAST_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class RecoverySettings:
    """Seconds. `ramp`: from the breaker's closing to full traffic; 0 for at once. `stable`: without relapse after the
    ramp, until the deployment is called recovered."""

    ramp: float = 30.0
    stable: float = 60.0


Phase = Literal["steady", "ramping", "watched"]


class Recovery:
    """The comeback of one deployment. `now` is in seconds, on a clock that does not run backwards."""

    __slots__ = ("_began", "_out_since", "_ramp", "_whole")

    def __init__(self, settings: RecoverySettings) -> None:
        self._ramp = settings.ramp
        self._whole = settings.ramp + settings.stable
        self._out_since: float | None = None
        self._began: float | None = None

    def begin(self, out_since: float, now: float) -> None:
        """The breaker closed, after trouble that began at `out_since`. Until settled, the earliest trouble counts."""
        known = self._out_since
        self._out_since = out_since if known is None else min(known, out_since)
        self._began = now

    def relapse(self) -> None:
        """It fell out again. When the trouble first began is kept; phase and share are those of steady until the next
        begin, since now the breaker keeps traffic away, not the ramp. Steady, this does nothing."""
        self._began = None

    def share(self, now: float) -> float:
        """The share of its normal traffic that it may get, from 0.1 to 1."""
        began = self._began
        if began is None:
            return 1.0
        elapsed = now - began
        # Another process of the host may have begun a moment from now.
        if elapsed >= self._ramp or not self._ramp:
            return 1.0
        return max(_LEAST_SHARE, elapsed / self._ramp)

    def phase(self, now: float) -> Phase:
        """Where the comeback stands; watched until `settled` has been asked and said so."""
        if self._began is None:
            return "steady"
        return "ramping" if now - self._began < self._ramp else "watched"

    def settled(self, now: float) -> float | None:
        """The recovery time in seconds, from the first trouble until now, once ramp and watch are over without relapse.

        Said once; then it is steady again. None at all other times.
        """
        if self._began is None or self._out_since is None or now - self._began < self._whole:
            return None
        recovery = now - self._out_since
        self._began = self._out_since = None
        return recovery

    def twin(self) -> tuple[float | None, float | None]:
        """Since when it was out, and since when it is back, in the clock's readings: for processes of one host."""
        return self._out_since, self._began

    def adopt(self, twin: tuple[float | None, float | None]) -> None:
        """Go by what another process knows."""
        self._out_since, self._began = twin

    def as_state(self, now: float) -> dict[str, float] | None:
        """What to save: seconds since the trouble and since the comeback began; None when steady."""
        if self._out_since is None:
            return None
        state = {"out_for": now - self._out_since}
        # Without it, the deployment is out after a relapse.
        if self._began is not None:
            state["elapsed"] = now - self._began
        return state

    def restore(self, state: object, now: float) -> None:
        """Continue from what was saved. Anything that makes no sense means steady."""
        self._began = self._out_since = None
        if not isinstance(state, dict):
            return
        out_for, elapsed = seconds(state.get("out_for")), seconds(state.get("elapsed"))
        if out_for is None or (elapsed is None and "elapsed" in state):
            return
        self._out_since = now - max(out_for, elapsed or 0.0)
        self._began = None if elapsed is None else now - elapsed
