"""A worker's way to the others of its host, by way of the supervisor.

What is told to all is gathered for a moment and sent as one message; what cannot wait takes with it what was gathered
before, so everything arrives in the order in which it was said. Messages are pickled: they come from processes of this
very program, over a socket that nobody else has.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from proxy.workers.frames import ALL, LEADER, SUPERVISOR, TICKET, Frames, frame
from proxy.workers.seat import Seat

_GATHERED_S: Final = 0.02
"""How long what happens is gathered before it is told."""
_MOST_GATHERED: Final = 500
_LARGEST_HEAD: Final = 256 * 1024
"""Bytes that a connection may bring along when it moves."""
_PATIENCE_S: Final = 2.0
_AGAIN_S: Final = 0.005

Message = tuple[Any, ...]
"""What kind it is, and what belongs to it."""


class Link(asyncio.Protocol):
    """One worker's end. `heard` is given the number of who speaks, and what; `taken` a connection that moved here."""

    def __init__(
        self,
        seat: Seat,
        heard: Callable[[int, list[Message]], None],
        lost: Callable[[], None],
        taken: Callable[[socket.socket, bytes], bool] = lambda _moved, _head: False,
    ) -> None:
        """`lost` is called when the supervisor is gone. `taken` says whether it takes the connection."""
        self.number = seat.number
        self._seat = seat
        self._heard = heard
        self._lost = lost
        self._taken = taken
        self._frames = Frames()
        self._gathered: list[Message] = []
        self._for_leader: list[Message] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._asked: dict[int, asyncio.Future[list[Any]]] = {}
        self._moved: dict[int, asyncio.Future[bool]] = {}
        self._offered: dict[int, int | None] = {}
        """To whom a connection was passed on that moves; None where nobody leads."""
        self._ticket = 0

    async def open(self) -> None:
        """Begin to listen and to talk."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, sock=self._seat.channel)
        self._seat.moving.setblocking(False)
        loop.add_reader(self._seat.moving.fileno(), self._take)

    def close(self) -> None:
        """Say what is left to say, and stop."""
        asyncio.get_running_loop().remove_reader(self._seat.moving.fileno())
        self._seat.moving.close()
        if self._transport is not None:
            self.flush()
            self._transport.close()

    def tell(self, *message: Any, at_once: bool = False) -> None:
        """Tell all others."""
        self._gathered.append(message)
        if at_once:
            self.flush()
        else:
            self._flush_soon(len(self._gathered))

    def flush(self) -> None:
        """Send what was gathered."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._write(ALL, gathered)
        if self._for_leader:
            for_leader, self._for_leader = self._for_leader, []
            self._write(LEADER, for_leader)

    def tell_leader_soon(self, *message: Any) -> None:
        """Tell whoever leads."""
        self._for_leader.append(message)
        self._flush_soon(len(self._for_leader))

    def tell_supervisor(self, *message: Any) -> None:
        """Tell the supervisor."""
        self.flush()
        self._write(SUPERVISOR, [message])

    async def ask_all(self, *question: Any) -> list[Any]:
        """Ask all others; their answers, in no order. Whoever is dying, or too slow, is left out.

        When it returns, all that the others said before their answers has been heard here, and what was said here
        before has been heard by them.
        """
        self._ticket += 1
        asked = self._asked[self._ticket] = asyncio.get_running_loop().create_future()
        self.tell_supervisor("ask", self._ticket, question)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                answers: list[Any] = await asked
                return answers
        except TimeoutError:
            return []
        finally:
            del self._asked[self._ticket]

    def answer(self, asker: int, ticket: int, value: object) -> None:
        """Answer a question."""
        self.tell_supervisor("answer", asker, ticket, value)

    async def move(self, connection: int, head: bytes) -> bool:
        """Hand over a connection, by its file descriptor, with what has been read of it; whether the leader has it.

        It is not to be closed here before that is known: a leader that dies meanwhile cannot have it. False means that
        this has happened, and that the next one may be asked. A leader that takes its time has it, since it may
        take it yet. Raises OSError when nobody can be asked.
        """
        self._ticket += 1
        ticket = self._ticket
        taken = self._moved[ticket] = asyncio.get_running_loop().create_future()
        self.flush()
        try:
            socket.send_fds(self._seat.moving, [TICKET.pack(self.number, ticket), head], [connection])
            await asyncio.wait([taken], timeout=_PATIENCE_S)
            if not taken.done() and self._offered.get(ticket) is None:
                raise TimeoutError
            has_it: bool = taken.result() if taken.done() else True
            if not has_it:
                # The next one may be about to hear that it leads.
                await asyncio.sleep(_AGAIN_S)
            return has_it
        finally:
            del self._moved[ticket]
            self._offered.pop(ticket, None)

    def leads_now(self, number: object) -> None:
        """Whoever else was offered a connection and has not taken it, will not."""
        for ticket, offered in self._offered.items():
            if offered != number:
                _settle(self._moved.get(ticket), False)

    # As a protocol of asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way is open."""
        # Those of uvloop are no subclass of it.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Somebody speaks."""
        for source, payload in self._frames.feed(data):
            messages: list[Message] = pickle.loads(payload)  # noqa: S301 - from our own processes
            messages = [message for message in messages if not self._is_answer(message)]
            if messages:
                self._heard(source, messages)

    def connection_lost(self, _error: Exception | None) -> None:
        """The supervisor is gone, or we are."""
        self._transport = None
        for asked in self._asked.values():
            if not asked.done():
                asked.set_result([])
        self._lost()

    def _flush_soon(self, gathered: int) -> None:
        if gathered >= _MOST_GATHERED:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_GATHERED_S, self.flush)

    def _is_answer(self, message: Message) -> bool:
        match message:
            case ("answers", ticket, answers):
                _settle(self._asked.get(ticket), answers)
            case ("offered", ticket, number):
                if ticket in self._moved:
                    self._offered[ticket] = number
            case ("refused", ticket):
                _settle(self._moved.get(ticket), False)
            case ("moved", ticket):
                _settle(self._moved.get(ticket), True)
            case _:
                return False
        return True

    def _write(self, address: int, messages: list[Message]) -> None:
        if self._transport is not None:
            self._transport.write(frame(address, pickle.dumps(messages, pickle.HIGHEST_PROTOCOL)))

    def _take(self) -> None:
        try:
            head, descriptors, _, _ = socket.recv_fds(self._seat.moving, _LARGEST_HEAD, 1)
        except OSError:
            return
        for descriptor in descriptors:
            moved = socket.socket(fileno=descriptor)
            moved.setblocking(False)
            source, ticket = TICKET.unpack_from(head)
            if self._taken(moved, head[TICKET.size :]):
                self._write(source, [("moved", ticket)])
            else:
                # It is only about to lead, or has just ceased to.
                self._write(source, [("refused", ticket)])
        if not descriptors and not head:
            # The other end is closed.
            asyncio.get_running_loop().remove_reader(self._seat.moving.fileno())


def _settle(asked: asyncio.Future[Any] | None, value: object) -> None:
    if asked is not None and not asked.done():
        asked.set_result(value)
