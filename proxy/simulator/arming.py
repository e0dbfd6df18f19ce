"""When an injected fault strikes: counting, luck and time, all given from outside."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import NamedTuple

from proxy.simulator.faults import FAULTS, Fault


class Facts(NamedTuple):
    """What a fault may look at in a request."""

    is_chat: bool
    fields: frozenset[str] = frozenset()
    """The top-level fields of the body."""
    prompt_tokens: int = 0
    ends_with_assistant: bool = False
    reuses_connection: bool = False


_ROUNDING = 1e-6
"""What sums of small times may be short of."""


@dataclass(slots=True)
class Allowance:
    """What `low_headroom` has left of its rate limit."""

    fault: Fault
    since: float
    """When the window began that is running; the time of the last request where the limit refills steadily."""
    left: float

    def take(self, now: float) -> Fault:
        """The fault with what this request leaves and the seconds until the reset; a 429 when nothing was left."""
        self._refill(now)
        granted = self.left + _ROUNDING >= 1
        self.left -= granted
        # Headers tell milliseconds: rounded up, so that who obeys them is not refused again.
        reset = math.ceil(self._until_full(now) * 1000 - _ROUNDING) / 1000
        if granted:
            return replace(self.fault, remaining=int(self.left + _ROUNDING), reset=reset)
        return Fault("429", limit=self.fault.limit, retry_after=reset, form="openai_reset")

    def _refill(self, now: float) -> None:
        fault = self.fault
        rounds = (now - self.since) / fault.reset
        if fault.refill == "steady":
            self.left = min(self.left + rounds * fault.limit, fault.limit)
            self.since = now
        elif rounds + _ROUNDING >= 1:
            self.left = fault.limit
            self.since += int(rounds + _ROUNDING) * fault.reset

    def _until_full(self, now: float) -> float:
        fault = self.fault
        if fault.refill == "steady":
            return fault.reset * (fault.limit - self.left) / (fault.limit or 1)
        return self.since + fault.reset - now


@dataclass(slots=True)
class ArmedFault:
    """A fault from its injection to its healing; the luck of a fault starts anew each time it is injected."""

    fault: Fault
    luck: random.Random
    since: float
    hits: int = 0
    allowance: Allowance | None = None

    def healed(self, now: float) -> bool:
        """Whether the fault has come to its own end."""
        fault = self.fault
        spent = fault.times is not None and self.hits >= fault.times
        return spent or (fault.lasts is not None and now - self.since >= fault.lasts)

    def strike(self, facts: Facts, now: float) -> Fault | None:
        """The fault that hits this request, if one does.

        Requests other than chat are hit by connection faults and refusals; they cost no luck and count for no `times`.
        """
        struck = self._inner(now)
        if self.healed(now) or struck is None or not _concerns(struck, facts):
            return None
        if not facts.is_chat:
            return struck if self.fault.probability >= 1 else None
        if self.fault.probability < 1 and self.luck.random() >= self.fault.probability:
            return None
        self.hits += 1
        return self._rationed(struck, now) if struck.name == "low_headroom" else struck

    def closes_port(self, now: float) -> bool:
        """Whether the port refuses connections at this moment."""
        inner = self._inner(now)
        return inner is not None and inner.name == "refuse" and not self.healed(now)

    def next_change(self, now: float) -> float | None:
        """Seconds until `closes_port` may change; None if it never does by itself."""
        if "refuse" not in {self.fault.name, self.fault.inner.name if self.fault.inner else None}:
            return None
        changes = []
        if self.fault.lasts is not None:
            changes.append(self.since + self.fault.lasts - now)
        if self.fault.name == "flapping":
            at = (now - self.since) % self._round()
            changes.append((self.fault.broken if at < self.fault.broken else self._round()) - at)
        return max(0.001, min(changes)) if changes and not self.healed(now) else None

    def _inner(self, now: float) -> Fault | None:
        """The fault itself, or what a wrapper holds at this moment."""
        if self.fault.name == "flapping" and (now - self.since) % self._round() >= self.fault.broken:
            return None
        return self.fault.inner if FAULTS[self.fault.name].scope == "wrapper" else self.fault

    def _rationed(self, fault: Fault, now: float) -> Fault:
        if self.allowance is None:
            self.allowance = Allowance(fault, now, min(fault.remaining, fault.limit))
        return self.allowance.take(now)

    def _round(self) -> float:
        return (self.fault.broken + self.fault.healthy) or 1.0


def _concerns(fault: Fault, facts: Facts) -> bool:
    if FAULTS[fault.name].scope == "answer" and not facts.is_chat:
        return False
    if fault.name == "stale":
        return facts.reuses_connection
    if fault.name == "unsupported_parameter":
        return fault.param in facts.fields
    if fault.name == "context":
        return facts.prompt_tokens > fault.limit
    return fault.name != "refuse_prefill" or facts.ends_with_assistant
