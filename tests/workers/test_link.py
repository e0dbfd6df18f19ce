"""A connection that moves: to whom it was offered, and who has it in the end."""

import asyncio
import pickle
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.workers import link as linking
from proxy.workers.frames import SUPERVISOR, TICKET, frame
from proxy.workers.link import Link, Message
from proxy.workers.seat import Seat
from proxy.workers.table import Table


class End:
    """The supervisor's end of the way to a worker that moves a connection."""

    def __init__(self, link: Link, channel: socket.socket, moving: socket.socket) -> None:
        self.link = link
        self._channel, self._moving = channel, moving
        self._connection = socket.socketpair()

    def move(self) -> asyncio.Task[bool]:
        return asyncio.create_task(self.link.move(self._connection[0].fileno(), b"GET /"))

    async def offered(self, number: int | None) -> int:
        """Take the next connection, and say to whom it was passed on; its ticket."""
        await asyncio.sleep(0.01)
        head, descriptors, _, _ = socket.recv_fds(self._moving, 1024, 1)
        for each in descriptors:
            socket.close(each)
        ticket = int(TICKET.unpack_from(head)[1])
        await self.say("offered", ticket, number)
        return ticket

    async def say(self, *message: object) -> None:
        self._channel.sendall(frame(SUPERVISOR, pickle.dumps([message])))
        await asyncio.sleep(0.01)

    def close(self) -> None:
        self.link.close()
        for each in (self._channel, self._moving, *self._connection):
            each.close()


@asynccontextmanager
async def worker() -> AsyncIterator[End]:
    ours, theirs = socket.socketpair()
    moving, moving_there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def heard(_source: int, messages: list[Message]) -> None:
        for message in messages:
            end.link.leads_now(message[1])

    seat = Seat(1, 1, theirs, moving_there, Table(2), Table(2), [], 0.0)
    end = End(Link(seat, heard, lambda: None), ours, moving)
    await end.link.open()
    yield end
    end.close()
    await asyncio.sleep(0)


def test_a_connection_passed_on_to_the_new_leader_is_not_offered_twice() -> None:
    """That another one leads is heard only after the connection has been sent, which the new one has got."""

    async def scenario() -> None:
        async with worker() as end:
            moved = end.move()
            await end.say("crew", 2)
            ticket = await end.offered(2)
            await end.say("crew", 2)
            assert not moved.done()
            await end.say("moved", ticket)
            assert await moved

    asyncio.run(scenario())


def test_one_that_was_offered_to_a_leader_who_died_is_offered_again() -> None:
    async def scenario() -> None:
        async with worker() as end:
            moved = end.move()
            await end.offered(0)
            await end.say("crew", 2)
            assert not await moved

            moved = end.move()
            await end.offered(None)
            await end.say("crew", 2)
            assert not await moved

            moved = end.move()
            await end.say("refused", await end.offered(2))
            assert not await moved

    asyncio.run(scenario())


def test_a_leader_that_takes_its_time_has_it_and_nobody_else_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "_PATIENCE_S", 0.05)

    async def scenario() -> None:
        async with worker() as end:
            moved = end.move()
            await end.offered(0)
            assert await moved

            moved = end.move()
            await end.offered(None)
            with pytest.raises(TimeoutError):
                await moved

    asyncio.run(scenario())
