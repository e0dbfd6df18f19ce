"""Small questions to servers about their models: over the same connections and with the same keys as requests.

A redirect is not followed, and an answer that is too long or too late is none.
"""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.config.settings import UpstreamSettings
from proxy.dialects.live.question import LARGEST, Question, Reply
from proxy.dialects.registry import auth
from proxy.upstreams.transport import Exchange, Target, Transport, TransportError

_CONNECT_S: Final = 3.0
_PATIENCE_S: Final = 10.0
"""Seconds for all of an answer."""


async def ask(transport: Transport, upstream: UpstreamSettings, question: Question) -> Reply | None:
    """Ask one question; None where no answer came."""
    until = asyncio.get_running_loop().time() + _PATIENCE_S
    body = [b"" if question.body is None else question.body]
    exchange: Exchange | None = None
    try:
        target = _target(transport, upstream, question)
        exchange = await transport.post(target, body, connect=_CONNECT_S, until=until)
        return await _read(exchange, until)
    except (TransportError, TimeoutError, ValueError):
        # A key that cannot be sent is a ValueError.
        return None
    finally:
        if exchange is not None:
            exchange.close()


def _target(transport: Transport, upstream: UpstreamSettings, question: Question) -> Target:
    kind, options = upstream.kind, upstream.options
    address = upstream.base_url.removesuffix("/v1") if question.at_root else upstream.base_url
    told = {header: str(options[name]) for name, header in kind.option_headers.items() if name in options}
    headers = {**kind.headers, **told, **auth(kind, upstream.keys[0] if upstream.keys else None)}
    method = "GET" if question.body is None else "POST"
    return transport.target(upstream.name, address + question.path, headers, keep=False, method=method)


async def _read(exchange: Exchange, until: float) -> Reply | None:
    read = bytearray()
    while data := await exchange.read(until):
        read += data
        if len(read) > LARGEST:
            return None
    return Reply(exchange.status, bytes(read))
