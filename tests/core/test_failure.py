"""One test per row of the failure table."""

import pytest

from proxy.core.failure import (
    VERDICTS,
    FailureClass,
    NextDeployment,
    Rests,
    SameDeployment,
    Severity,
    Verdict,
)

F, S, N, R = FailureClass, SameDeployment, NextDeployment, Rests
T, D, X = Severity.TRANSIENT, Severity.DEGRADED, Severity.FATAL

ROWS = {
    F.CONNECT: Verdict(T, S.ONCE_AT_ONCE, N.YES, True, R.NOTHING),
    F.RESET: Verdict(T, S.ONCE_AT_ONCE, N.YES, True, R.NOTHING),
    F.TIMEOUT: Verdict(T, S.NO, N.YES, True, R.NOTHING),
    F.OVERLOADED: Verdict(T, S.AFTER_BACKOFF, N.YES, True, R.NOTHING),
    F.RATE_LIMITED: Verdict(T, S.AFTER_ITS_WAIT, N.YES, False, R.KEY_HERE),
    F.QUOTA: Verdict(X, S.WITH_ANOTHER_KEY, N.YES, False, R.KEY),
    F.CREDENTIAL: Verdict(X, S.WITH_ANOTHER_KEY, N.YES, False, R.KEY),
    F.MODEL_GONE: Verdict(X, S.NO, N.YES, False, R.DEPLOYMENT),
    F.CONTEXT_TOO_LONG: Verdict(X, S.NO, N.LARGER_WINDOW, False, R.NOTHING),
    F.CONTENT_REFUSED: Verdict(X, S.NO, N.NO, False, R.NOTHING),
    F.CALLER_FAULT: Verdict(X, S.NO, N.NO, False, R.NOTHING),
    F.PARAMETER_UNSUPPORTED: Verdict(D, S.ONCE_WITHOUT_PARAMETER, N.YES, False, R.NOTHING),
    F.NOT_CARRIED: Verdict(X, S.NO, N.YES, False, R.NOTHING),
    F.BAD_ANSWER: Verdict(D, S.NO, N.YES, True, R.NOTHING),
    F.UNKNOWN: Verdict(D, S.NO, N.YES, True, R.NOTHING),
}


@pytest.mark.parametrize("kind", FailureClass)
def test_row(kind: FailureClass) -> None:
    assert ROWS[kind] == VERDICTS[kind]
