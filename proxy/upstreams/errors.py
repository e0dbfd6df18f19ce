"""How the network's part of an attempt fails."""

from __future__ import annotations

from functools import lru_cache

from proxy.core.failure import Failure, FailureClass


class TransportError(Exception):
    """The network's part of an attempt failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def no_connection(code: str, message: str) -> TransportError:
    """The error of a connection that could not be opened."""
    return TransportError(_not_connected(code, message))


@lru_cache(maxsize=32)
def _not_connected(code: str, message: str) -> Failure:
    """While somebody is away, thousands of requests fail alike."""
    return Failure(FailureClass.CONNECT, code, message)
