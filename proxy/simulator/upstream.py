"""One simulated upstream: its port, its fault, and what it received."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.simulator.answers import Voice
from proxy.simulator.arming import ArmedFault
from proxy.simulator.behaviour import perform, reset
from proxy.simulator.faults import Fault, parse_fault
from proxy.simulator.listener import Listener
from proxy.simulator.received import Ledger, ReceivedRequest
from proxy.simulator.replies import facts_of, reply, wire_of
from proxy.simulator.steps import Script
from proxy.simulator.wires.table import place_of

_MAX_BODY = 64 << 20
_SHUTDOWN_PATIENCE = 0.5


class SimulatedUpstream:
    """A server on its own port that speaks the language of each path.

    `voice` says how it answers and may be changed at any time.
    """

    def __init__(self, voice: Voice, *, host: str = "127.0.0.1", keep: int = 1000) -> None:
        self.voice = voice
        self.connections = 0
        """Connections accepted since the last `reset_counters`."""
        self.received = 0
        self.aborted = 0
        """Requests whose client closed before the answer was complete."""
        self.faulted = 0
        """Requests that a fault hit."""
        self._ledger = Ledger(keep)
        self._listener = Listener(host)
        self._server: web.Server | None = None
        self._armed: ArmedFault | None = None
        self._port_keeper: asyncio.Task[None] | None = None
        self._port_lock = asyncio.Lock()
        self._open: dict[RequestHandler, _Connection] = {}
        self._accepted = 0
        self._serial = 0

    @property
    def name(self) -> str:
        """The name that the answers give as theirs."""
        return self.voice.upstream

    @property
    def port(self) -> int:
        """The port, also while it refuses connections; 0 before the first start."""
        return self._listener.port

    @property
    def base_url(self) -> str:
        """The address that goes into `base_url` of a client."""
        host = f"[{self._listener.host}]" if ":" in self._listener.host else self._listener.host
        return f"http://{host}:{self.port}/v1"

    @property
    def fault(self) -> Fault | None:
        """The injected fault, None when healthy or healed."""
        armed = self._armed
        return None if armed is None or armed.healed(_now()) else armed.fault

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The last requests received, oldest first."""
        return self._ledger.kept()

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def reset_counters(self) -> None:
        """Forget the requests and count from zero."""
        self._ledger.clear()
        self.connections = self.received = self.aborted = self.faulted = 0

    def status(self) -> dict[str, object]:
        """The state as the control API shows it."""
        fault = self.fault
        return {
            "name": self.name,
            "base_url": self.base_url,
            "fault": fault.as_dict() if fault else None,
            "requests": self.received,
            "running": sum(one.running is not None for one in self._open.values()),
            "aborted": self.aborted,
            "faulted": self.faulted,
            "connections": self.connections,
            "open_connections": self.open_connections,
        }

    async def start(self, port: int = 0) -> None:
        """Listen on this port; 0 is the port of the last start, at first any free one."""
        await self._listener.reserve(port or self.port)
        self._server = _Server(self, self._handle, request_factory=_request, handler_cancellation=True, access_log=None)
        await self._hold_port()

    async def close(self) -> None:
        """Stop at once, whatever is being answered."""
        await self._stop_port_keeper()
        self._armed = None
        self._listener.release()
        self.drop_connections()
        if self._server is not None:
            # One turn for the sockets to close and the handlers to be cancelled; then nothing is left to wait for.
            await asyncio.sleep(0)
            await self._server.shutdown(_SHUTDOWN_PATIENCE)
            self._server = None

    async def inject(self, fault: Fault | str | Mapping[str, object] | None) -> None:
        """Inject a fault (None heals). It counts from the next request on; answers that are running go on."""
        parsed = None if fault is None else parse_fault(fault.as_dict() if isinstance(fault, Fault) else fault)
        await self._stop_port_keeper()
        if parsed is None:
            self._armed = None
        else:
            luck = random.Random(f"{self.voice.seed}/{self.name}/{parsed}")
            self._armed = ArmedFault(parsed, luck, _now())
        if self._server is not None:
            await self._hold_port()

    def drop_connections(self) -> None:
        """Reset all connections at once, also in the middle of an answer, as the death of a machine does."""
        for handler, connection in list(self._open.items()):
            if connection.running is not None:
                connection.running.dropped = True
            if handler.transport is not None:
                reset(handler.transport)

    async def _close_idle(self) -> None:
        for handler, connection in list(self._open.items()):
            if connection.running is None and handler.transport is not None:
                handler.transport.abort()
        # Long enough for a client in the same loop to see them close, so that its next request meets a closed port.
        for _ in range(3):
            await asyncio.sleep(0)

    # The port.

    async def _hold_port(self) -> None:
        """Open or close the port as the fault says, now and whenever that changes by itself."""
        pause = await self._set_port()
        if pause is not None:
            self._port_keeper = asyncio.create_task(self._keep_port(pause), name=f"simulator port of {self.name}")

    async def _keep_port(self, pause: float | None) -> None:
        while pause is not None:
            await asyncio.sleep(pause)
            async with self._port_lock:
                pause = await self._set_port()

    async def _set_port(self) -> float | None:
        armed = self._armed
        if armed is not None and armed.closes_port(_now()):
            await self._listener.close()
            # A dead process has no idle connections either.
            await self._close_idle()
        elif self._server is not None:
            await self._listener.open(self._server)
        return armed.next_change(_now()) if armed else None

    async def _stop_port_keeper(self) -> None:
        keeper, self._port_keeper = self._port_keeper, None
        if keeper is not None:
            # Never in the middle of opening or closing the port, which would lose its socket.
            async with self._port_lock:
                keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    # Requests.

    def connected(self, handler: RequestHandler) -> None:
        """Count a connection; called by the server."""
        self.connections += 1
        self._accepted += 1
        self._open[handler] = _Connection(self._accepted)

    def disconnected(self, handler: RequestHandler) -> None:
        """Forget a connection; called by the server."""
        self._open.pop(handler, None)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = self._open[request.protocol]
        received = await self._receive(request, connection)
        connection.running = received
        response = web.StreamResponse()
        try:
            script = self._script(received, reuses_connection=connection.requests > 1)
            response = await perform(script, request, {"X-Request-Id": f"req_simulated_{self._serial}"})
        except (asyncio.CancelledError, ConnectionError) as gone:
            received.aborted = not received.dropped
            self.aborted += received.aborted
            if isinstance(gone, asyncio.CancelledError):
                raise
        else:
            received.finished_at = _now()
        finally:
            connection.running = None
        if not self._listener.is_open:
            response.force_close()
        return response

    async def _receive(self, request: web.BaseRequest, connection: _Connection) -> ReceivedRequest:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await request.read()
        connection.requests += 1
        self._serial += 1
        self.received += 1
        received = ReceivedRequest(
            request.method, request.path_qs, request.headers, body, connection.number, received_at=_now()
        )
        self._ledger.add(received)
        return received

    def _script(self, received: ReceivedRequest, *, reuses_connection: bool) -> Script:
        place = place_of(received)
        wire = wire_of(place)
        received.wire = wire.name if wire else None
        struck = None
        if self._armed is not None:
            struck = self._armed.strike(facts_of(place, reuses_connection=reuses_connection), _now())
        if struck is not None:
            received.fault = struck.name
            self.faulted += 1
        return reply(place, struck, self.voice, self._serial, time.time())


@dataclass(slots=True)
class _Connection:
    number: int
    requests: int = 0
    running: ReceivedRequest | None = None


class _Server(web.Server):
    """aiohttp's server that tells the upstream of each connection."""

    def __init__(self, upstream: SimulatedUpstream, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._upstream = upstream

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._upstream.connected(handler)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._upstream.disconnected(handler)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY)


def _now() -> float:
    return asyncio.get_running_loop().time()
