"""A rolling restart lost the request that was on its way on a kept connection when the old process closed it."""

import asyncio

import pytest

from proxy.server.farewell import GOODBYE_S
from tests.support.fleet import Fleet, fleet, until
from tests.support.raw import BODY, hang_up, head
from tests.support.virtual_time import run_virtual

STREAM = BODY.replace(b"{", b'{"stream":true,', 1)


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next answer's head and body."""
    first = await reader.readuntil(b"\r\n\r\n")
    lines = first.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), None)
    return first, await (reader.readuntil(b"\r\n0\r\n\r\n") if length is None else reader.readexactly(length))


async def connect(running: Fleet) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", running.proxy.port)


@pytest.mark.parametrize("pause", [0.0, 0.3, GOODBYE_S - 0.1])
@pytest.mark.parametrize("used", [False, True])
def test_a_kept_connection_may_bring_what_is_on_its_way(pause: float, used: bool) -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        async with fleet() as running:
            reader, writer = await connect(running)
            if used:
                writer.write(head() + BODY)
                assert b"200 OK" in (await answer(reader))[0]
            draining = asyncio.ensure_future(running.proxy.drain())
            await asyncio.sleep(pause)
            writer.write(head() + BODY)
            told, _ = await answer(reader)
            told_at = clock()

            assert (True, True) == (b"200 OK" in told, b"connection: close" in told.lower())
            await draining
            # Nobody is left, so there is nothing to wait for.
            assert clock() - told_at < 0.1
            await hang_up(writer)

    run_virtual(scenario())


def test_so_may_one_whose_stream_began_before() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            running.simulator.upstream("primary").voice.pace = 0.5
            reader, writer = await connect(running)
            writer.write(head(len(STREAM)) + STREAM)
            await until(lambda: running.proxy.lifecycle.running)
            await asyncio.sleep(2)
            draining = asyncio.ensure_future(running.proxy.drain())
            first, stream = await answer(reader)
            assert (b"200 OK" in first, b"[DONE]" in stream, draining.done()) == (True, True, False)
            # It was not told that the connection ends, so it asks again.
            assert b"connection: close" not in first.lower()
            await asyncio.sleep(0.5)
            writer.write(head() + BODY)
            told, _ = await answer(reader)

            assert (True, True) == (b"200 OK" in told, b"connection: close" in told.lower())
            await draining
            await hang_up(writer)

    run_virtual(scenario())


def test_who_asks_nothing_is_let_go_after_a_while() -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        async with fleet() as running:
            _, writer = await connect(running)
            await asyncio.sleep(5)
            started = clock()
            await running.proxy.drain()

            assert GOODBYE_S == pytest.approx(clock() - started, abs=0.05)
            await hang_up(writer)

    run_virtual(scenario())


def test_nobody_is_waited_for_when_nobody_is_there() -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        async with fleet() as running:
            started = clock()
            await running.proxy.drain()

            assert started == clock()

    run_virtual(scenario())
