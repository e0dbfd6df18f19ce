"""One request on its way: what is known of it so far, and the answers it may get."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import Struct, field

from proxy.core.event import AttemptEnded, Resume
from proxy.core.failure import Failure
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Encoder
from proxy.execution.kept import Kept
from proxy.execution.relay import Relay
from proxy.pool.permit import Permit
from proxy.routing.next_move import History
from proxy.routing.plan import Plan, PlannedStep
from proxy.upstreams.transport import UnderWay

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_NOBODY: Final[Mapping[int, str]] = MappingProxyType({})


class JsonAnswer(Struct, frozen=True):
    """A whole answer; its attempt is over."""

    body: bytes
    headers: Mapping[str, str]
    dropped: tuple[str, ...]
    usage: bytes | None
    wire: Wire = Wire.CHAT
    """The language in which the upstream gave it; the body is in the client's."""


class StreamAnswer(Struct):
    """A stream with content in hand, unless it is gated; its attempt goes on until `Attempts.finish`."""

    first: bytes
    """That content; nothing once it is sent."""
    relay: Relay
    permit: Permit
    started: float
    headers: Mapping[str, str]
    """For the client's head; none once that is sent."""
    dropped: tuple[str, ...]
    wire: Wire = Wire.CHAT
    """The language of its events: the client's, or chat."""
    limits: Mapping[str, str] = NO_HEADERS
    """All headers of the upstream's answer; empty if they tell nothing of limits."""

    @property
    def gated(self) -> bool:
        """Its content is still to come, and nobody waits for it."""
        return not self.first and self.relay.pours


class ResortAnswer(Struct, frozen=True):
    """What the route has for when all fail: a kept answer to the same request, else its own text."""

    text: str
    kept: Kept | None
    age: float = 0.0
    """Of the kept answer, in seconds."""


Result = JsonAnswer | StreamAnswer | Failure
"""What one attempt brings."""
Answer = JsonAnswer | StreamAnswer | ResortAnswer
"""What one request brings."""


class Begun(NamedTuple):
    """An attempt that is under way already."""

    permit: Permit
    under_way: UnderWay | None
    """What has been done of it; None if nothing."""
    last: bool
    """Nobody else is left to ask."""
    step: int = 0
    gated: StreamAnswer | None = None
    """Its stream, if it has come so far."""


class Run(Struct):
    """One request on its way through a plan: what is known so far, for headers, log and error messages."""

    plan: Plan
    request: ModelRequest
    started: float
    client: str | None = None
    """Who asks, where clients are told apart."""
    body_took: float = 0.0
    """Seconds from the end of its head to that of its body."""
    history: History = field(default_factory=History)
    ended: list[AttemptEnded] = []
    """The attempts that are over, in order."""
    current: PlannedStep | None = None
    """Where the request was sent last, or whose answer was the first good one."""
    passed_over: Mapping[int, str] = _NOBODY
    """Places of the chain that could not be used when their turn came, and why."""
    waited: float = 0.0
    """Seconds spent waiting between attempts, or for a place."""
    refused: frozenset[str] = frozenset()
    """Purposes for which a budget did not pay."""
    hedge_delay: float | None = None
    """After how many seconds of silence a second attempt was started; None where none was."""
    keep_as: bytes | None = None
    """Under which name a good answer is kept for times when all fail."""
    answered: float | None = None
    """When the first content, or the whole JSON answer, was in hand (monotonic seconds)."""
    usage: bytes | None = None
    """The JSON in which the answer's usage stands."""
    encoder: Encoder | None = None
    """What turns chat events into the client's language, where that was needed."""
    resumes: tuple[Resume, ...] = ()
    """Where the answer broke and was gone on with."""
    explain: bool = False
    """The plan is wanted instead of an answer."""
    walked: bool = False
    """Its luck is drawn, and the budgets know of it."""
    begun: Begun | None = None
    """How far it had come before the executor got it, or got it again: with an attempt that is under way."""

    @property
    def cost(self) -> float | None:
        """USD of the attempts that are over, as far as it is known; None where it is of none."""
        total: float | None = None
        for attempt in self.ended:
            if attempt.cost is not None:
                total = attempt.cost if total is None else total + attempt.cost
        return total
