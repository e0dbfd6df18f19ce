"""One upstream's state: its keys, and how many attempts it has under way.

Keys are told apart by *slots*, numbers that are never given twice: a rest belongs to a key, not to its place in the
list, which changes when routes.yaml does. Requests that began before such a change go on with the list that they began
with, so both lists are in use for a while; what both count together is in one `Load`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.policies.concurrency import ConcurrencyLimit
from proxy.pool.rest import Rest


@dataclass(slots=True)
class Load:
    """What an upstream has in common with itself before and after a change of the configuration."""

    in_flight: int = 0
    slots_given: int = 0
    """Slots that keys have had, those that are gone included."""


@dataclass(slots=True)
class Upstream:
    """The mutable record of one upstream. Only the pool writes it."""

    slots: tuple[int, ...]
    """The slot of each credential, in their order; an upstream without any counts as having one."""
    limit: ConcurrencyLimit | None = None
    """Attempts at once, over all of its models."""
    key_rests: dict[int, Rest] = field(default_factory=dict)
    """By slot: rests of single keys that hold for all of its deployments."""
    load: Load = field(default_factory=Load)
    turn: int = 0
    """Which key is next."""

    @classmethod
    def with_keys(cls, count: int, limit: ConcurrencyLimit | None) -> Upstream:
        """A new one, with so many credentials."""
        count = max(1, count)
        return cls(tuple(range(count)), limit, load=Load(slots_given=count))

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        return self.load.in_flight

    @property
    def full(self) -> bool:
        """Whether no further attempt may be made until one ends."""
        return self.limit is not None and self.load.in_flight >= self.limit.limit
