"""When an injected fault strikes: counting, luck and time, all given from outside."""

from __future__ import annotations

import random
from dataclasses import dataclass
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


@dataclass(slots=True)
class ArmedFault:
    """A fault from its injection to its healing; the luck of a fault starts anew each time it is injected."""

    fault: Fault
    luck: random.Random
    since: float
    hits: int = 0

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
        return struck

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
