"""One upstream's state: its keys, and how many attempts it has under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.policies.concurrency import ConcurrencyLimit
from proxy.pool.rest import Rest


@dataclass(slots=True)
class Upstream:
    """The mutable record of one upstream. Only the pool writes it."""

    keys: int
    """How many credentials it has; one without any counts as one."""
    limit: ConcurrencyLimit | None = None
    """Attempts at once, over all of its models."""
    in_flight: int = 0
    key_rests: dict[int, Rest] = field(default_factory=dict)
    """Rests of single keys that hold for all of its deployments."""
    turn: int = 0
    """Which key is next."""

    @property
    def full(self) -> bool:
        """Whether no further attempt may be made until one ends."""
        return self.limit is not None and self.in_flight >= self.limit.limit
