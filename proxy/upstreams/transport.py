"""Bytes to and from upstreams: the only file that opens connections to them.

An `Exchange` is one answer in progress. Every error of the network is mapped here, once, to a `TransportError` that
carries a `Failure`; nothing above knows the HTTP client. Redirects are never followed (a key must not travel), cookies
are not kept, and an exchange that is not read to its end closes its connection at once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from multidict import CIMultiDict, CIMultiDictProxy

from proxy import __version__
from proxy.core.failure import Failure, FailureClass

_KEEPALIVE_S = 30.0
_READ_BUFFER = 256 * 1024
_MAX_HEAD_FIELD = 64 * 1024
_DNS_CACHE_S = 30
_RUN_OUT_S = 0.25
"""Seconds that the end of a body may come after the terminal marker of its events."""
_STALE_S = 0.5
"""A kept connection that is dead says so within a round trip. One that breaks later was serving the request."""
_BASE_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": f"holdfast/{__version__}",
    # A compressed stream arrives in lumps and hides its usage from us.
    "Accept-Encoding": "identity",
}


class TransportError(Exception):
    """The network's part of an attempt failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class Exchange:
    """One answer in progress: its head, and its body as it arrives."""

    __slots__ = ("_response", "_tasks", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, tasks: set[asyncio.Task[None]]) -> None:
        self._response = response
        self._tasks = tasks
        self.status = response.status
        self.headers: CIMultiDictProxy[str] = response.headers

    async def read(self, until: float) -> bytes:
        """The next bytes of the body, whatever has arrived; empty at its end.

        Raises TimeoutError at `until` (the loop's clock), and TransportError when the connection breaks.
        """
        content = self._response.content
        if asyncio.get_running_loop().time() >= until:
            # A timer does not get its turn while there is always something to read.
            raise TimeoutError
        try:
            async with asyncio.timeout_at(until):
                return await content.readany()
        except aiohttp.ClientError as error:
            raise TransportError(_broken(error)) from None

    def close(self) -> None:
        """Let go: back to the pool if the body was read to its end, else the connection is closed at once."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def finish(self) -> None:
        """Let go of a stream that is whole, but whose body may not be at its end yet.

        The terminal marker of the events comes before that of the body, often in a packet of its own. Waiting for it,
        in the background and not for long, saves the next request a new connection.
        """
        if self._response.content.at_eof():
            self._response.release()
            return
        task = asyncio.get_running_loop().create_task(self._run_out(), name="run out")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_out(self) -> None:
        try:
            async with asyncio.timeout(_RUN_OUT_S):
                while await self._response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError):
            pass
        finally:
            self.close()


class Transport:
    """Connections to all upstreams, kept alive between requests."""

    def __init__(self) -> None:
        self._kept: dict[str, aiohttp.ClientSession] = {}
        self._fresh: dict[str, aiohttp.ClientSession] = {}
        self._finishing: set[asyncio.Task[None]] = set()

    async def post(
        self, upstream: str, url: str, headers: Mapping[str, str], body: bytes, *, connect: float, until: float
    ) -> Exchange:
        """Send a request; return when the head of its answer is in.

        `upstream` names the connection pool, `connect` limits the opening of a connection in seconds, `until` (the
        loop's clock) the wait for the head. Raises TransportError, and TimeoutError at `until`. A kept connection that
        turns out to be dead without having given a byte is no failure of the upstream: the request is sent again, once,
        on a new one.
        """
        trace = SimpleNamespace(reused=False)
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            return await self._post(self._session(self._kept, upstream), url, headers, body, connect, until, trace)
        except TransportError as error:
            at_once = clock() - started < _STALE_S
            if not (trace.reused and at_once and error.failure.kind is FailureClass.RESET):
                raise
        return await self._post(self._session(self._fresh, upstream), url, headers, body, connect, until, trace)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._finishing:
            task.cancel()
        await asyncio.gather(*self._finishing, return_exceptions=True)
        for session in (*self._kept.values(), *self._fresh.values()):
            await session.close()

    async def _post(
        self,
        session: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        connect: float,
        until: float,
        trace: SimpleNamespace,
    ) -> Exchange:
        timeout = aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=1e9)
        try:
            async with asyncio.timeout_at(until):
                response = await session.post(
                    url, headers=headers, data=body, timeout=timeout, allow_redirects=False, trace_request_ctx=trace
                )
        except aiohttp.ConnectionTimeoutError:
            message = f"no connection within {connect:g} s"
            raise TransportError(Failure(FailureClass.TIMEOUT, "connect_timeout", message)) from None
        except aiohttp.ClientError as error:
            raise TransportError(_unanswered(error)) from None
        except ConnectionError as error:
            raise TransportError(Failure(FailureClass.RESET, "reset", type(error).__name__)) from None
        return Exchange(response, self._finishing)

    def _session(self, sessions: dict[str, aiohttp.ClientSession], upstream: str) -> aiohttp.ClientSession:
        session = sessions.get(upstream)
        if session is None:
            session = sessions[upstream] = _new_session(fresh=sessions is self._fresh)
        return session


def _new_session(*, fresh: bool) -> aiohttp.ClientSession:
    keeping: dict[str, Any] = {"force_close": True} if fresh else {"keepalive_timeout": _KEEPALIVE_S}
    # limit=0: how much an upstream may be asked at once is the pool's decision, and never a silent queue in here.
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=_DNS_CACHE_S, **keeping)
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=CIMultiDict(_BASE_HEADERS),
        read_bufsize=_READ_BUFFER,
        max_line_size=_MAX_HEAD_FIELD,
        max_field_size=_MAX_HEAD_FIELD,
        trace_configs=[tracing],
    )


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


def _unanswered(error: aiohttp.ClientError) -> Failure:
    """An error before the head of an answer was in. The order matters: later classes contain earlier ones."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Failure(FailureClass.CONNECT, "certificate_invalid", "the certificate is not valid for this name")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failure(FailureClass.CONNECT, "name_unknown", "the name does not resolve")
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, ConnectionRefusedError):
            return Failure(FailureClass.CONNECT, "connect_refused", "connection refused")
        code = "tls_failed" if isinstance(error.os_error, ssl.SSLError) else "connect_failed"
        return Failure(FailureClass.CONNECT, code, "no connection")
    if isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str):
        return Failure(FailureClass.BAD_ANSWER, "bad_head", "the connection ended within the answer's head")
    if isinstance(error, aiohttp.ClientResponseError):
        return Failure(FailureClass.BAD_ANSWER, "bad_head", "the answer's head is not valid HTTP")
    if isinstance(error, aiohttp.ClientOSError | aiohttp.ServerConnectionError):
        return Failure(FailureClass.RESET, "reset", "the connection ended without an answer")
    return Failure(FailureClass.UNKNOWN, "transport_error", type(error).__name__)


def _broken(error: aiohttp.ClientError) -> Failure:
    """An error within the body of an answer."""
    if isinstance(error.__cause__, ContentEncodingError):
        return Failure(FailureClass.BAD_ANSWER, "bad_encoding", "the answer's content encoding is not valid")
    return Failure(FailureClass.BAD_ANSWER, "cut", "the connection broke within the answer")
