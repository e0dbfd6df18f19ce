"""The listening socket, and patience with those who connect to it.

A connection begins in the front lane; what that leaves is served by aiohttp's own protocol. The subclass here adds
what it lacks: a limit on how long a client may take for the head of a request, and one error shape also for what is not
HTTP.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aiohttp import web

from proxy.config.settings import PatienceSettings
from proxy.core.errors import ClientError, error_body
from proxy.server.context import CONTEXT
from proxy.server.lane import FrontLane
from proxy.server.plain_head import PlainHeads
from proxy.server.slow_reader import SlowReader
from proxy.server.wire import error_headers, request_id
from proxy.upstreams.rounds import Rounds

_MAX_LINE = 16 * 1024
_MAX_FIELD = 16 * 1024
_MAX_HEADERS = 100
_LINGER_S = 2.0
"""Seconds for the unread rest of a refused body, so that the client gets to read why it was refused."""
_FAREWELL_S = 0.5
"""Seconds for connections that still do something when the server closes, such as those that follow the events."""
_BACKLOG = 1024


class GuardedHandler(web.RequestHandler):
    """One connection. The head timer runs from the first moment, and again from each next request's first byte.

    While the client takes none of what waits for it, the write timer runs; whoever takes some of it is left alone.
    """

    __slots__ = ("_head_patience", "_head_timer", "_in_request", "_slow", "_write_patience")

    def __init__(self, manager: web.Server, *, head_patience: float, write_patience: float, keepalive: float) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keepalive,
            access_log=None,  # type: ignore[arg-type] # aiohttp takes None for "no access log"; its annotation forgot
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_FIELD,
            max_headers=_MAX_HEADERS,
            lingering_time=_LINGER_S,
        )
        self._head_patience = head_patience
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_request = False
        self._write_patience = write_patience
        self._slow: SlowReader | None = None

    @property
    def in_request(self) -> bool:
        """Whether a request has begun, and is not answered."""
        return self._in_request

    def head_arrived(self) -> None:
        """A request's head is complete: its body and its answer have timers of their own."""
        self._in_request = True
        self._stop_timer()

    def request_done(self) -> None:
        """The request is answered: what comes now is the next one's head."""
        self._in_request = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The buffers on the way to the client are full: from now on it must take something now and then."""
        super().pause_writing()
        if isinstance(self.transport, asyncio.Transport):
            self._slow = SlowReader(self.transport, self._write_patience)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._stop_watching()

    def data_received(self, data: bytes) -> None:
        """Time the head that these bytes may begin."""
        if not self._in_request and self._head_timer is None:
            self._start_timer()
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is not HTTP gets one answer in the common shape, and the connection closes."""
        del request, exc, message
        error = ClientError(status, "malformed_request", "The request is not valid HTTP.", close=True)
        body = error_body(error.message, error.error_type, error.code)
        response = web.Response(status=status, body=body, headers=error_headers(error, request_id({})))
        response.force_close()
        return response

    def _start_timer(self) -> None:
        self._head_timer = asyncio.get_running_loop().call_later(self._head_patience, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_watching(self) -> None:
        if self._slow is not None:
            self._slow.stop()
            self._slow = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.force_close()


class Listener:
    """The sockets of one server."""

    def __init__(self, app: web.Application, patience: PatienceSettings, *, front_lane: bool = True) -> None:
        """Without `front_lane` all connections are aiohttp's."""
        self.patience = patience
        """With the clients of connections that come from now on."""
        self.front_lane = front_lane
        """Of connections that come from now on, too."""
        self._app = app
        self._heads = PlainHeads()
        self._lanes: set[FrontLane] = set()
        self._rounds: Rounds | None = None
        # Made once: each of a thousand connections would hold its own.
        self._on_wide, self._on_left = self._wide, self._lanes.discard
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_FAREWELL_S)
        self._servers: list[asyncio.Server] = []

    async def start(self, host: str, port: int, inherited: Sequence[socket.socket] = ()) -> int:
        """Listen; returns the port, which the system chose if it was 0. Raises OSError when it is taken.

        On `inherited` sockets in place of host and port, where there are any: they listen already.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            for each in inherited:
                self._servers.append(await loop.create_server(self._connection, sock=each, backlog=_BACKLOG))
            if not inherited:
                self._servers.append(
                    await loop.create_server(self._connection, host, port, backlog=_BACKLOG, reuse_address=True)
                )
        except OSError:
            await self._runner.cleanup()
            raise
        name = self._servers[0].sockets[0].getsockname()
        # That of a local socket is a path.
        return int(name[1]) if isinstance(name, tuple) else 0

    async def take(self, moved: socket.socket, head: bytes) -> None:
        """Serve a connection that another process has accepted, and has read so much from."""
        _, protocol = await asyncio.get_running_loop().connect_accepted_socket(self._connection, moved)
        protocol.data_received(head)

    @property
    def connections(self) -> int:
        """How many are open."""
        wide = 0 if self._runner.server is None else len(self._runner.server.connections)
        return wide + len(self._lanes)

    async def also_on(self, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
        """Take what comes to some more sockets, until those servers are closed."""
        loop = asyncio.get_running_loop()
        return [await loop.create_server(self._connection, sock=each.dup(), backlog=_BACKLOG) for each in sockets]

    def stop_listening(self) -> None:
        """Take no new connections; those that exist go on."""
        for server in self._servers:
            server.close()

    @property
    def is_kept(self) -> bool:
        """Whether some connection has no request at present, and may bring one."""
        server = self._runner.server
        connections = () if server is None else server.connections
        wide = any(isinstance(each, GuardedHandler) and not each.in_request for each in connections)
        return wide or any(lane.is_kept for lane in self._lanes)

    async def close(self) -> None:
        """Close every connection."""
        self.stop_listening()
        for lane in tuple(self._lanes):
            lane.abort()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        if not self.front_lane:
            return self._wide()
        if self._rounds is None:
            self._rounds = Rounds(asyncio.get_running_loop())
        contexts = self._app[CONTEXT]
        lane = FrontLane(
            contexts, self._heads, self.patience, wide=self._on_wide, left=self._on_left, rounds=self._rounds
        )
        self._lanes.add(lane)
        return lane

    def _wide(self) -> GuardedHandler:
        server = self._runner.server
        assert server is not None  # noqa: S101 - `start` has set it up
        return GuardedHandler(
            server,
            head_patience=self.patience.header,
            write_patience=self.patience.write,
            keepalive=self.patience.keepalive,
        )
