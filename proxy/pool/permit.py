"""A permit: the right to one attempt, given by the pool and given back exactly once, with what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from proxy.core.event import Happening
from proxy.core.failure import Failure
from proxy.pool.deployment import Deployment
from proxy.pool.guard import Guard
from proxy.pool.rest import Rest
from proxy.pool.upstream import Upstream

IGNORED: Final = "ignored"
SUCCEEDED: Final = "succeeded"
Outcome = Failure | Literal["ignored", "succeeded"]
"""What became of an attempt."""


class Permit(Struct, eq=False, gc=False):
    """The right to one attempt, with the key to use. Consumed by `report`.

    One is made for every attempt, so it is a struct. Nothing that it holds refers to it: the collector leaves it be.
    """

    deployment: Deployment
    upstream: Upstream
    key: int
    """The place of the key in its upstream's list."""
    slot: int
    """That of the key among all that its upstream has had."""
    admitted_at: float
    tickets: list[tuple[Guard, int]]
    """The guards that hear the outcome, and the period of each in which it counts."""
    events: Sequence[Happening] = ()
    """What its admission changed."""
    stream: bool = False
    embeds: bool = False
    """Vectors are asked for."""
    good_at: float | None = None
    """When a stream's first content was in hand; other answers are good at their end."""
    probe: bool = False
    """A test prompt: its outcome counts, its duration does not."""
    resting: Sequence[tuple[dict[int, Rest] | None, Rest]] = ()
    """Of a probe: the rests that a good answer would end, with the place of each key's."""
    proven: bool = False
    """A half-open breaker has taken its first content for a success."""
    priced: bool = True
    """Whether the usual prices hold: not for a request that asks for a service of another price."""
    lost: bool = False
    """Another attempt of the same request was faster."""
    spent: bool = False
    places: Sequence[int | None] = ()
    """Where several processes serve: its places among what the host has under way."""
