"""Bytes to and from upstreams: everything above this file knows no sockets.

An `Exchange` is one answer in progress. Every error of the network is mapped once to a `TransportError` that carries a
`Failure`: opening a connection in `dial.py`, what comes over it in `answer.py`. Redirects are never followed (a key
must not travel), cookies are not kept, and an exchange that is not read to its end closes its connection at once.

A request's way: its head from `request.py`, a connection from `pool.py` or else from `dial.py`, the exchange of
`exchange.py` over a `connection.py`, which feeds what it receives to `answer.py`; unpacked by `coding.py` where needed.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

from proxy.core.failure import Failure, FailureClass
from proxy.upstreams.connection import Body, Connection
from proxy.upstreams.dial import Dialer, Knock
from proxy.upstreams.errors import TransportError
from proxy.upstreams.exchange import Exchange
from proxy.upstreams.last_look import last_look
from proxy.upstreams.pool import Pool
from proxy.upstreams.request import Origin, Request, Requests

__all__ = ["Exchange", "Target", "Transport", "TransportError", "UnderWay"]

_STALE_S: Final = 0.5
"""A kept connection that is dead says so within a round trip. One that breaks later was serving the request."""


UnderWay = Exchange | Knock
"""What has been begun of a call without waiting: it was asked, or a connection for it is being opened."""


class Target(NamedTuple):
    """Where requests go: all of their head but the length, and the connections."""

    request: Request
    pool: Pool


class Transport:
    """Connections to all upstreams, kept alive between requests."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """`tls` is for tests; the default verifies by the system's certificates."""
        self._dialer = Dialer(tls)
        self._requests = Requests()
        self._pools: dict[tuple[str, Origin], Pool] = {}

    def target(
        self, upstream: str, url: str, headers: Mapping[str, str], *, keep: bool = True, method: str = "POST"
    ) -> Target:
        """Where requests with these headers go. `upstream` names the connection pool. Raises TransportError.

        `keep` is for heads that will be asked for again.
        """
        request = self._requests.request(url, headers, keep=keep, method=method)
        return Target(request, self._pool(upstream, request.origin))

    def begin(self, target: Target, body: Body) -> UnderWay | None:
        """Send a request on a kept connection; where there is none, knock for one. None if not even that is possible
        without waiting. Raises TransportError if the connection is refused at once, as on this machine."""
        request, pool = target
        connection = pool.take()
        if connection is None:
            return self._dialer.knock(request.origin)
        return connection.ask(_head(request, body), body)

    async def post(
        self, target: Target, body: Body, *, connect: float, until: float, begun: UnderWay | None = None
    ) -> Exchange:
        """Send a request, unless it is under way (`begun`); return when the head of its answer is in.

        `connect` limits the opening of a connection in seconds, `until` (the loop's clock) the wait for the head.
        Raises TransportError, and TimeoutError at `until`. A kept connection that turns out to be dead without having
        given a byte is no failure of the upstream: the request is sent again, once, on a new one.
        """
        request, pool = target
        begun = begun or self.begin(target, body)
        if isinstance(begun, Exchange):
            try:
                await begun.begin(until)
            except TransportError as error:
                begun.close()
                at_once = asyncio.get_running_loop().time() - begun.asked_at < _STALE_S
                if not (at_once and error.failure.kind is FailureClass.RESET):
                    raise
            except BaseException:
                begun.close()
                raise
            else:
                return begun
            begun = self._dialer.knock(request.origin)
        connection = await self._connect(pool, request.origin, begun, connect, until)
        exchange = connection.ask(_head(request, body), body)
        try:
            await exchange.begin(until)
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def close(self) -> None:
        """Close every connection."""
        await self._dialer.close()
        for pool in self._pools.values():
            await pool.close()

    def _pool(self, upstream: str, origin: Origin) -> Pool:
        pool = self._pools.get((upstream, origin))
        if pool is None:
            # TLS 1.3 hands out its tickets after the handshake: the first answer has brought them along.
            served = functools.partial(self._dialer.remember, origin) if origin.tls else None
            pool = self._pools[upstream, origin] = Pool(asyncio.get_running_loop(), served)
        return pool

    async def _connect(
        self, pool: Pool, origin: Origin, knock: Knock | None, connect: float, until: float
    ) -> Connection:
        # A strand has no task that a timeout could cancel, so opening a connection gets one.
        opening = asyncio.create_task(self._open(pool, origin, knock, connect, until))
        try:
            return await opening
        except asyncio.CancelledError:
            if knock is not None:
                knock.drop()
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                # It was opened in the very moment in which nobody wanted it any more.
                opening.result().abort()
            raise

    async def _open(self, pool: Pool, origin: Origin, knock: Knock | None, connect: float, until: float) -> Connection:
        loop = asyncio.get_running_loop()
        limit = loop.time() + connect
        try:
            async with last_look(min(limit, until)):
                connection = await self._dialer.dial(origin, pool.new, knock)
        except TimeoutError:
            if until <= limit:
                raise
            message = f"no connection within {connect:g} s"
            raise TransportError(Failure(FailureClass.TIMEOUT, "connect_timeout", message)) from None
        if loop.time() >= until:
            # It is open, but too late to ask anything.
            connection.abort()
            raise TimeoutError
        pool.opened(connection)
        return connection


def _head(request: Request, body: Body) -> bytes:
    size = len(body[0]) if len(body) == 1 else sum(map(len, body))
    return b"%b%d\r\n\r\n" % (request.head, size)
