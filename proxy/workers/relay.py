"""What workers tell each other, passed on as it came; and connections, passed on to whoever leads."""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import socket
from collections.abc import Callable
from typing import Final

from proxy.workers.frames import ALL, LEADER, SUPERVISOR, TICKET, frame
from proxy.workers.port import Message, Port
from proxy.workers.surroundings import Says

_MOST_UNREAD: Final = 64 * 1024**2
"""Bytes that may wait for a worker. One that does not read for so long is stuck."""


class Relay:
    """The ways to all workers. `heed` is given what is said to the supervisor itself."""

    def __init__(self, heed: Callable[[Port, Message], None], log: Says) -> None:
        self.ports: dict[int, Port] = {}
        """By number."""
        self.leader: int | None = None
        """Who is told what is for the leader."""
        self._heed = heed
        self._log = log

    def listen_to(self, port: Port) -> None:
        """Pass on what one process says from now on."""
        port.watch(lambda mask: self._serve(port, mask), lambda _mask: self._pass_on(port))

    def read(self, port: Port) -> None:
        """Pass on what there is to be read."""
        try:
            said = port.read()
        except ValueError as error:
            # Nothing that follows can be understood.
            self._end(port, f"what a worker says makes no sense, and it is ended: {error}")
            return
        for address, payload in said:
            self._deliver(port, address, payload)

    def send(self, port: Port, *messages: Message) -> None:
        """Say something to a worker."""
        self._check(port, port.send(SUPERVISOR, *messages))

    def send_frame(self, port: Port, data: bytes) -> None:
        """Say to a worker what another one has said."""
        self._check(port, port.queue(data))

    def _serve(self, port: Port, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            port.write()
        if mask & selectors.EVENT_READ:
            self.read(port)

    def _deliver(self, port: Port, address: int, payload: bytes) -> None:
        if address == ALL:
            self._tell_others(port.number, payload)
        elif address == LEADER:
            if self.leader is not None and self.leader in self.ports:
                self.send_frame(self.ports[self.leader], frame(port.number, payload))
        elif address in self.ports:
            self.send_frame(self.ports[address], frame(port.number, payload))
        elif address == SUPERVISOR:
            try:
                for message in pickle.loads(payload):  # noqa: S301 - from our own processes
                    self._heed(port, message)
            except Exception as error:  # noqa: BLE001 - one message that makes no sense must not end them all
                problem = f"{type(error).__name__}: {error}"
                self._log.warning("a bug of the proxy, in what a worker said", worker=port.number, problem=problem)

    def _tell_others(self, source: int, payload: bytes) -> None:
        for other in list(self.ports.values()):
            if other.number == source:
                continue
            if other.joined:
                self.send_frame(other, frame(source, payload))
            elif other.welcomed_by is not None and other.welcomed_by != source:
                self._check(other, other.keep(frame(source, payload)))

    def _pass_on(self, port: Port) -> None:
        head, descriptors = port.read_moved()
        if not descriptors:
            return
        target = None if self.leader is None else self.ports.get(self.leader)
        offered: int | None = None
        try:
            if target is not None:
                socket.send_fds(target.moving, [head], descriptors)
                offered = target.number
        except ConnectionError:
            # It is gone, and the next one will be offered it.
            offered = None if target is None else target.number
        except OSError:
            self._log.warning("a connection could not be handed over")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        # Told in line with who leads: so whoever asked knows what became of it when another one does.
        self.send(port, ("offered", TICKET.unpack_from(head)[1], offered))

    def _check(self, port: Port, unread: int) -> None:
        if unread > _MOST_UNREAD:
            self._end(port, "a worker does not listen to the others, and is ended")

    def _end(self, port: Port, why: str) -> None:
        self._log.warning(why, worker=port.number, pid=port.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(port.pid, signal.SIGKILL)
