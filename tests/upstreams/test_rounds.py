"""Connections whose time is long share a timer, and each is as exact as if it had one of its own."""

from __future__ import annotations

import asyncio

import pytest

from proxy.upstreams.connection import Connection
from proxy.upstreams.rounds import Rounds
from proxy.upstreams.strand import Strand
from tests.support.virtual_time import run_virtual
from tests.upstreams.test_connection import FakeTransport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def connection(rounds: Rounds | None) -> Connection:
    made = Connection(asyncio.get_running_loop(), left=lambda _made: None, lost=lambda _made: None, rounds=rounds)
    made.connection_made(FakeTransport())
    return made


def timers() -> int:
    loop = asyncio.get_running_loop()
    return sum(not timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]


async def _reads(made: Connection, until: float, late: list[float]) -> None:
    exchange = made.ask(b"", [b""])
    try:
        await exchange.begin(until)
        await exchange.read(until)
    except TimeoutError:
        late.append(round(asyncio.get_running_loop().time(), 3))


@pytest.mark.parametrize("patience", [0.5, 2.9, 3.1, 4.0, 4.7, 30.25, 600.0])
def test_whoever_waits_is_late_to_the_moment(patience: float) -> None:
    async def scenario() -> None:
        loop, late = asyncio.get_running_loop(), list[float]()
        start, rounds = loop.time(), Rounds(loop)
        Strand(_reads(connection(rounds), start + patience, late)).start()
        await asyncio.sleep(patience + 5)
        assert [round(start + patience, 3)] == late

    run_virtual(scenario())


def test_many_share_a_timer() -> None:
    async def scenario() -> None:
        loop, late = asyncio.get_running_loop(), list[float]()
        start, rounds, before = loop.time(), Rounds(loop), timers()
        for place in range(100):
            Strand(_reads(connection(rounds), start + 60 + place, late)).start()
        assert before + 1 == timers()
        await asyncio.sleep(200)
        assert [round(start + 60 + place, 3) for place in range(100)] == late

    run_virtual(scenario())


def test_a_time_that_comes_nearer() -> None:
    async def scenario() -> None:
        loop, late = asyncio.get_running_loop(), list[float]()
        start, made = loop.time(), connection(Rounds(loop))
        Strand(_reads(made, start + 60, late)).start()
        made.watch(start + 1)
        # Its patience is looked at, and there is still some.
        await asyncio.sleep(2)
        assert (start + 60, []) == (made.watched_until, late)
        await asyncio.sleep(60)
        assert [round(start + 60, 3)] == late

    run_virtual(scenario())


def test_the_rounds_end_with_the_last_connection() -> None:
    async def scenario() -> None:
        loop, before = asyncio.get_running_loop(), timers()
        made = connection(Rounds(loop))
        Strand(_reads(made, loop.time() + 60, [])).start()
        made.connection_lost(None)
        assert before + 1 == timers()
        await asyncio.sleep(1.5)
        assert before == timers()

    run_virtual(scenario())
