"""Answers that are errors: read, classified, and without the upstream's keys in what people get to see of them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from proxy.config.settings import UpstreamSettings
from proxy.core.failure import Failure
from proxy.core.secrets import mask
from proxy.dialects.failures import classify
from proxy.upstreams.errors import TransportError
from proxy.upstreams.exchange import Exchange
from proxy.upstreams.signing import secrets_of

_MOST = 64 * 1024
"""Bytes of an error that are read."""
_PATIENCE_S = 5.0
"""Seconds for the body of an error answer: its status has already said what matters."""


async def read_error_answer(kind: str, exchange: Exchange, deadline: float) -> Failure:
    """The failure of an answer that is not a 200. Its body may be late or broken: the status alone is enough.

    `deadline` is on the loop's clock.
    """
    body = exchange.whole()
    if body is None:
        until = min(deadline, asyncio.get_running_loop().time() + _PATIENCE_S)
        read = bytearray()
        try:
            while len(read) < _MOST and (data := await exchange.read(until)):
                read += data
        except (TimeoutError, TransportError):
            pass
        body = bytes(read)
    return failure_of(kind, exchange, body)


def failure_of(kind: str, exchange: Exchange, body: bytes) -> Failure:
    """The failure of an answer that is not a 200, and whose body is this."""
    answer = exchange.answer
    return classify(kind, answer.status, answer.headers, body[:_MOST], time.time())


def masked(failure: Failure, upstream: UpstreamSettings) -> Failure:
    """A failure in whose texts no credential shows, wherever the upstream echoed one."""
    keys = upstream.keys
    if upstream.kind.signs:
        # A signature that does not match is answered with all that was signed, the session's token included.
        keys = (*keys, *(secret for key in keys for secret in secrets_of(key)))
    told = (failure.message, failure.error_type, failure.error_code, failure.param)
    unseen = tuple([mask(text, keys) if text else text for text in told])
    if unseen == told:
        return failure
    message, error_type, error_code, param = unseen
    return replace(failure, message=message or "", error_type=error_type, error_code=error_code, param=param)
