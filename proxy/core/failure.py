"""What can go wrong with one attempt, and what each kind of failure implies.

A *failure* is a value: which class it is of, whose fault that makes it, and what may be told about it. The table
`VERDICTS` is the only place that says what a class implies; the loop over the chain (`routing/next_move.py`) and the
pool's bookkeeping read it and know no class by name. An unlisted or unclear failure is `UNKNOWN`, which is never tried
again on the same deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class FailureClass(StrEnum):
    """What happened to an attempt, in the terms of the failure table."""

    CONNECT = "connect"
    """No connection could be opened: refused, unreachable, name or certificate problem."""
    RESET = "reset"
    """The connection ended before a single byte of the answer was received."""
    TIMEOUT = "timeout"
    """One of the attempt's timers ran out: connect, first token, idle."""
    OVERLOADED = "overloaded"
    """The upstream says that it cannot serve right now (500, 502, 503, 529 and the like)."""
    RATE_LIMITED = "rate_limited"
    """The upstream asks for less traffic; waiting helps."""
    QUOTA = "quota"
    """Credit or a spend limit is used up; waiting a moment does not help."""
    CREDENTIAL = "credential"
    """The key is wrong, revoked, or may not use this."""
    MODEL_GONE = "model_gone"
    """The upstream does not know the model."""
    CONTEXT_TOO_LONG = "context_too_long"
    """The request does not fit the model's window."""
    CONTENT_REFUSED = "content_refused"
    """A content policy refused the request."""
    CALLER_FAULT = "caller_fault"
    """Any other 4xx: the request is wrong, and would be wrong elsewhere."""
    PARAMETER_UNSUPPORTED = "parameter_unsupported"
    """The model rejects one optional parameter that others accept."""
    NOT_CARRIED = "not_carried"
    """Something in the request cannot be said in the deployment's language, and matters, so nothing was sent; or its
    server was started without what it takes."""
    BAD_ANSWER = "bad_answer"
    """A 200 that is no answer: empty, invalid, truncated, or an error in disguise."""
    UNKNOWN = "unknown"
    """Anything that none of the above describes."""


class Severity(StrEnum):
    """How bad a class is for the deployment that showed it."""

    TRANSIENT = "transient"
    DEGRADED = "degraded"
    FATAL = "fatal"


class SameDeployment(Enum):
    """Whether and when the same deployment may be tried again within one request."""

    NO = "no"
    WITH_ANOTHER_KEY = "at once with another key, else no"
    ONCE_AT_ONCE = "once, at once"
    AFTER_BACKOFF = "after backoff"
    AFTER_ITS_WAIT = "when its key's rest ends; at once with another key"
    ONCE_WITHOUT_PARAMETER = "once, without the refused parameter"


class NextDeployment(Enum):
    """Whether the next deployment of the chain may be tried."""

    YES = "yes"
    NO = "no"
    LARGER_WINDOW = "only one with a strictly larger context window"


class Rests(Enum):
    """What is rested, in every request's eyes, until a reset time."""

    NOTHING = "nothing"
    KEY_HERE = "the key, for this deployment"
    KEY = "the key, for its whole upstream"
    DEPLOYMENT = "the deployment, whatever the key"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure class implies. One row of the failure table."""

    severity: Severity
    same: SameDeployment
    next: NextDeployment
    counts: bool
    """Whether it counts against the deployment's health."""
    rests: Rests = Rests.NOTHING


_T, _D, _F = Severity.TRANSIENT, Severity.DEGRADED, Severity.FATAL
_SAME, _NEXT, _C = SameDeployment, NextDeployment, FailureClass

VERDICTS: dict[FailureClass, Verdict] = {
    _C.CONNECT: Verdict(_T, _SAME.ONCE_AT_ONCE, _NEXT.YES, counts=True),
    _C.RESET: Verdict(_T, _SAME.ONCE_AT_ONCE, _NEXT.YES, counts=True),
    _C.TIMEOUT: Verdict(_T, _SAME.NO, _NEXT.YES, counts=True),
    _C.OVERLOADED: Verdict(_T, _SAME.AFTER_BACKOFF, _NEXT.YES, counts=True),
    _C.RATE_LIMITED: Verdict(_T, _SAME.AFTER_ITS_WAIT, _NEXT.YES, counts=False, rests=Rests.KEY_HERE),
    _C.QUOTA: Verdict(_F, _SAME.WITH_ANOTHER_KEY, _NEXT.YES, counts=False, rests=Rests.KEY),
    _C.CREDENTIAL: Verdict(_F, _SAME.WITH_ANOTHER_KEY, _NEXT.YES, counts=False, rests=Rests.KEY),
    _C.MODEL_GONE: Verdict(_F, _SAME.NO, _NEXT.YES, counts=False, rests=Rests.DEPLOYMENT),
    _C.CONTEXT_TOO_LONG: Verdict(_F, _SAME.NO, _NEXT.LARGER_WINDOW, counts=False),
    _C.CONTENT_REFUSED: Verdict(_F, _SAME.NO, _NEXT.NO, counts=False),
    _C.CALLER_FAULT: Verdict(_F, _SAME.NO, _NEXT.NO, counts=False),
    _C.PARAMETER_UNSUPPORTED: Verdict(_D, _SAME.ONCE_WITHOUT_PARAMETER, _NEXT.YES, counts=False),
    _C.NOT_CARRIED: Verdict(_F, _SAME.NO, _NEXT.YES, counts=False),
    _C.BAD_ANSWER: Verdict(_D, _SAME.NO, _NEXT.YES, counts=True),
    _C.UNKNOWN: Verdict(_D, _SAME.NO, _NEXT.YES, counts=True),
}
"""The failure table. One test per row: `tests/core/test_failure.py`."""


DEADLINE_EXCEEDED: Final = "deadline_exceeded"
"""The code of an attempt that was ended by its request's deadline, not by a timer of its own: blames nobody."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, as a value.

    `code` is the short machine word that trails, logs and metrics carry (`http_503`, `connect_refused`,
    `first_token_timeout`); it comes from a closed set plus `http_<status>`. `message` is human text, already cleaned of
    markup and bounded in length, but not yet of secrets. `wait` is what the upstream asked for, in seconds.
    """

    kind: FailureClass
    code: str
    message: str = ""
    status: int | None = None
    """The upstream's HTTP status, where there was one."""
    wait: float | None = None
    param: str | None = None
    """The request field that the upstream named, where it named one."""
    value_only: bool = False
    """The field is taken, only not with this value: what one request learns from that holds for no other."""
    error_type: str | None = None
    error_code: str | None = None
    """The upstream's own `type` and `code`, passed on with a caller's fault."""
    prompt: int | None = None
    """Tokens of the prompt, where a refusal for its length named them."""
    window: int | None = None
    """Tokens of the window, likewise."""

    @property
    def verdict(self) -> Verdict:
        """What this failure implies."""
        return VERDICTS[self.kind]
