"""Opening a connection: name, address, proxy, TLS. Every way in which that fails is named here, once.

Names are resolved by the system and kept for a while. Several addresses of a name are tried by RFC 8305 (happy
eyeballs): the next one starts while the first has not answered. The limits of time are the caller's.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import math
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Final

from aiohappyeyeballs import AddrInfoType, start_connection

from proxy.upstreams.connection import Connection
from proxy.upstreams.errors import TransportError, no_connection
from proxy.upstreams.request import HttpProxy, Origin

_NAMES_KEPT_S: Final = 30.0
_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})
"""What opening a connection says at once that has succeeded, or has not failed yet."""
_EYEBALLS_S: Final = 0.25
"""Seconds that an address has before the next is tried besides it (RFC 8305, section 8)."""
_MAX_TUNNEL_HEAD = 16 * 1024


class Knock:
    """A connection that is being opened, or is open already; nobody's until it is taken."""

    __slots__ = ("_address", "_socket", "asked_at")

    def __init__(self, raw: socket.socket, address: Any) -> None:
        self._socket: socket.socket | None = raw
        self._address = address
        self.asked_at = asyncio.get_running_loop().time()
        """When it was begun (the loop's clock)."""

    async def answered(self) -> socket.socket | None:
        """The open connection; None if it was taken before. Raises OSError."""
        raw, self._socket = self._socket, None
        if raw is not None:
            try:
                await asyncio.get_running_loop().sock_connect(raw, self._address)
            except BaseException:
                raw.close()
                raise
        return raw

    def drop(self) -> None:
        """Close it, if nobody has taken it."""
        raw, self._socket = self._socket, None
        if raw is not None:
            raw.close()


class Dialer:
    """Opens connections. `tls` is for tests; the default verifies by the system's certificates."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._names = Names()

    def knock(self, origin: Origin) -> Knock | None:
        """Begin to open a connection to the only address of an origin, without waiting; None where there is no such
        address, or it is not known. Raises TransportError if it is refused at once, as on this machine."""
        first: Origin | HttpProxy = origin.via or origin
        found = self._names.only(first.host, first.port)
        if found is None:
            return None
        family, kind, protocol, _, address = found
        try:
            raw = socket.socket(family, kind, protocol)
            error = _begin(raw, address)
        except OSError as trouble:
            raise _unreachable(trouble) from None
        if error not in _UNDER_WAY:
            raw.close()
            self._names.forget(first.host, first.port)
            raise _unreachable(OSError(error, os.strerror(error)))
        return Knock(raw, address)

    async def dial(self, origin: Origin, protocol: Callable[[], Connection], knock: Knock | None = None) -> Connection:
        """A connection to an origin, for which somebody may have knocked. Raises TransportError for whatever keeps it
        from being opened."""
        first: Origin | HttpProxy = origin.via or origin
        try:
            raw = None if knock is None else await knock.answered()
            raw = raw or await self._reach(first.host, first.port)
            try:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if origin.tls and origin.via is not None:
                    await _tunnel(raw, origin, origin.via)
            except BaseException:
                raw.close()
                raise
            return await self._secure(raw, origin, protocol)
        except TransportError:
            raise
        except (OSError, RuntimeError) as error:
            # RuntimeError: uvloop's word for an address family that the machine does not have.
            self._names.forget(first.host, first.port)
            raise _unreachable(error) from None

    async def close(self) -> None:
        """Give up the look-ups that are under way."""
        await self._names.close()

    async def _reach(self, host: str, port: int) -> socket.socket:
        try:
            addresses = await self._names.addresses(host, port)
        except (socket.gaierror, UnicodeError):
            raise no_connection("name_unknown", "the name does not resolve") from None
        return await start_connection(addresses, happy_eyeballs_delay=_EYEBALLS_S)

    async def _secure(self, raw: socket.socket, origin: Origin, protocol: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        if not origin.tls:
            return (await loop.create_connection(protocol, sock=raw))[1]
        context, name = self._tls or default_tls(), origin.host.rstrip(".")
        try:
            return (await loop.create_connection(protocol, sock=raw, ssl=context, server_hostname=name))[1]
        except OSError:
            if isinstance(context, RememberingContext):
                context.forget(name)
            raise

    def remember(self, origin: Origin, connection: Connection) -> None:
        """Keep the TLS session of a connection that has served, for a quicker beginning of the next."""
        context, state = self._tls or default_tls(), connection.tls()
        if isinstance(context, RememberingContext) and isinstance(state, ssl.SSLObject):
            context.remember(origin.host.rstrip("."), state.session)


class Names:
    """Addresses of names. Look-ups of one name at the same time are one look-up."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[AddrInfoType]]] = {}
        """Until when they count (infinity for an address as it stands), and the addresses."""
        self._asked: dict[tuple[str, int], asyncio.Task[list[AddrInfoType]]] = {}

    async def addresses(self, host: str, port: int) -> list[AddrInfoType]:
        """The addresses of a name, beginning with another one each time. Raises OSError or UnicodeError."""
        key = (host, port)
        known = self._known.get(key)
        if known is not None and asyncio.get_running_loop().time() < known[0]:
            found = known[1]
        else:
            task = self._asked.get(key)
            if task is None:
                task = self._asked[key] = asyncio.get_running_loop().create_task(self._look_up(key), name=f"dns {host}")
                task.add_done_callback(functools.partial(self._answered, key))
            # One who leaves must not take the answer from the others.
            found = await asyncio.shield(task)
        found.append(found.pop(0))
        return found.copy()

    def only(self, host: str, port: int) -> AddrInfoType | None:
        """The address of a name that is known to have one only."""
        known = self._known.get((host, port))
        if known is None or len(known[1]) > 1 or asyncio.get_running_loop().time() >= known[0]:
            return None
        return known[1][0]

    def forget(self, host: str, port: int) -> None:
        """Ask again the next time: none of the addresses could be connected to."""
        known = self._known.get((host, port))
        if known is not None and known[0] < math.inf:
            del self._known[host, port]

    async def close(self) -> None:
        """Give up the look-ups that are under way."""
        tasks = tuple(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, key: tuple[str, int]) -> list[AddrInfoType]:
        loop = asyncio.get_running_loop()
        until = math.inf
        try:
            # An address as it stands costs no thread.
            numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            found: list[AddrInfoType] = [*socket.getaddrinfo(*key, type=socket.SOCK_STREAM, flags=numeric)]
        except (socket.gaierror, UnicodeError):
            found = [*await loop.getaddrinfo(*key, type=socket.SOCK_STREAM)]
            until = loop.time() + _NAMES_KEPT_S
        self._known[key] = (until, found)
        return found

    def _answered(self, key: tuple[str, int], task: asyncio.Task[list[AddrInfoType]]) -> None:
        self._asked.pop(key, None)
        if not task.cancelled():
            # Whoever asked may have left: the error is then nobody's.
            task.exception()


class RememberingContext(ssl.SSLContext):
    """A client's TLS that goes on with the last session of a name, which saves a round trip and most of the CPU.

    Event loops wrap connections by `wrap_bio` and have no word for a session; hence this way in. A session is only ever
    used for the name that its certificate was verified for.
    """

    def __init__(self, _protocol: int) -> None:
        super().__init__()
        self._sessions: dict[str, ssl.SSLSession] = {}

    def remember(self, name: str, session: ssl.SSLSession | None) -> None:
        """Keep a session, if there is one to be resumed."""
        if session is not None and (session.has_ticket or session.id):
            self._sessions[name] = session

    def forget(self, name: str) -> None:
        """Begin anew the next time."""
        self._sessions.pop(name, None)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """A connection's TLS."""
        if session is None and isinstance(server_hostname, str):
            session = self._sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def remembering_context() -> RememberingContext:
    """TLS as `ssl.create_default_context` sets it up, HTTP/1.1 only; without any certificates to trust yet."""
    context = RememberingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


@functools.cache
def default_tls() -> RememberingContext:
    """The process's TLS: trusts what the system trusts. Reading its certificates takes some 20 ms, once."""
    context = remembering_context()
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _begin(raw: socket.socket, address: Any) -> int:
    """Begin to connect to an address; what is known of that at once. Where this raises, the socket is closed."""
    try:
        raw.setblocking(False)
        error = raw.connect_ex(address)
        # On this machine a refusal is there already.
        return raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if error == errno.EINPROGRESS else error
    except BaseException:
        raw.close()
        raise


async def _tunnel(raw: socket.socket, origin: Origin, via: HttpProxy) -> None:
    """Ask a proxy for a way to the origin. Nothing may follow its answer: in TLS the client speaks first."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {origin.authority} HTTP/1.1", f"Host: {origin.authority}"]
    if via.authorization is not None:
        lines.append(f"Proxy-Authorization: {via.authorization}")
    await loop.sock_sendall(raw, ("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(raw, 4096)
        head += data
        if not data or len(head) > _MAX_TUNNEL_HEAD:
            raise no_connection("connect_failed", "the HTTP proxy gave no answer")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or status[0] not in {b"HTTP/1.1", b"HTTP/1.0"} or not status[1].isdigit():
        raise no_connection("connect_failed", "the HTTP proxy's answer is not valid HTTP")
    if not 200 <= int(status[1]) < 300:
        raise no_connection("connect_failed", f"the HTTP proxy refused the way: {int(status[1])}")
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") != 1:
        raise no_connection("connect_failed", "the HTTP proxy spoke into the connection")


def _unreachable(error: OSError | RuntimeError) -> TransportError:
    """The order matters: later kinds contain earlier ones."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return no_connection("certificate_invalid", "the certificate is not valid for this name")
    if isinstance(error, ssl.SSLError):
        return no_connection("tls_failed", "no connection")
    if isinstance(error, ConnectionRefusedError):
        return no_connection("connect_refused", "connection refused")
    return no_connection("connect_failed", "no connection")
