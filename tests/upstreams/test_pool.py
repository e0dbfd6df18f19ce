"""Which connections serve again, in which order, for how long; and dead ones, which are nobody's fault."""

import asyncio

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.upstreams.pool import IDLE_S, MAX_AGE_S
from proxy.upstreams.transport import TransportError
from tests.support.virtual_time import run_virtual
from tests.upstreams.scripted import CHUNKED, OK, THREE, Script, ask, post, transport, upstream, whole

GOOD = (200, b"abc")


def test_one_connection_serves_many_requests() -> None:
    async def scenario() -> None:
        async with upstream() as running, transport() as over:
            assert [GOOD] * 5 == [await ask(over, running.url) for _ in range(5)]
            assert 1 == running.connections

    run_virtual(scenario())


def test_each_upstream_has_its_own() -> None:
    async def scenario() -> None:
        async with upstream() as running, transport() as over:
            for name in ("u", "v", "u", "v"):
                assert GOOD == await ask(over, running.url, name=name)

            assert [1, 2, 1, 2] == [number for number, _ in running.requests]

    run_virtual(scenario())


def test_an_upstream_that_moves_gets_new_ones() -> None:
    async def scenario() -> None:
        async with upstream() as running, upstream() as other, transport() as over:
            assert GOOD == await ask(over, running.url)
            assert GOOD == await ask(over, other.url)
            assert (1, 1) == (len(running.requests), len(other.requests))

    run_virtual(scenario())


def test_the_one_used_last_serves_next() -> None:
    async def scenario() -> None:
        quick, slow = ["read", 1.0, THREE, "wait"], ["read", 2.0, THREE, "read", THREE, "read", THREE, "wait"]
        async with upstream(quick, slow) as running, transport() as over:
            assert [GOOD, GOOD] == await asyncio.gather(ask(over, running.url), ask(over, running.url))
            assert [GOOD, GOOD] == [await ask(over, running.url) for _ in range(2)]
            assert [1, 2, 2, 2] == [number for number, _ in running.requests]

    run_virtual(scenario())


def test_there_is_no_limit() -> None:
    async def scenario() -> None:
        async with upstream(["read", 1.0, THREE, "wait"]) as running, transport() as over:
            assert [GOOD] * 300 == await asyncio.gather(*[ask(over, running.url) for _ in range(300)])
            assert 300 == running.connections

    run_virtual(scenario())


IN_THE_END_CLOSED = {
    "close": OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc",
    "1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "surplus": THREE + b"x",
    "another answer": THREE + THREE,
}


@pytest.mark.parametrize("name", IN_THE_END_CLOSED)
def test_not_used_again(name: str) -> None:
    async def scenario() -> None:
        async with upstream(["read", IN_THE_END_CLOSED[name], "wait"]) as running, transport() as over:
            assert [GOOD] * 3 == [await ask(over, running.url) for _ in range(3)]
            assert 3 == running.connections

    run_virtual(scenario())


def test_one_that_speaks_unasked_is_closed() -> None:
    async def scenario() -> None:
        async with upstream(["read", THREE, 0.1, THREE, "wait"]) as running, transport() as over:
            assert GOOD == await ask(over, running.url)
            await asyncio.sleep(0.2)
            assert GOOD == await ask(over, running.url)
            assert 2 == running.connections

    run_virtual(scenario())


@pytest.mark.parametrize(("pause", "connections"), [(IDLE_S - 1, 1), (IDLE_S + 1, 2)])
def test_idle_ones_are_closed(pause: float, connections: int) -> None:
    async def scenario() -> None:
        async with upstream() as running, transport() as over:
            await ask(over, running.url)
            await asyncio.sleep(pause)
            assert (connections == 1) is not running.writers[0].transport.is_closing()
            await ask(over, running.url)
            assert connections == running.connections

    run_virtual(scenario())


def test_old_ones_are_closed_however_busy() -> None:
    async def scenario() -> None:
        async with upstream(["read", THREE] * 100) as running, transport() as over:
            for _ in range(int(MAX_AGE_S // 20) + 2):
                assert GOOD == await ask(over, running.url)
                await asyncio.sleep(20)

            assert 2 == running.connections

    run_virtual(scenario())


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_kept_one_that_dies_without_a_byte_costs_nothing(end: str) -> None:
    async def scenario() -> None:
        async with upstream(["read", THREE, "read", end]) as running, transport() as over:  # type: ignore[list-item]
            assert GOOD == await ask(over, running.url)
            assert GOOD == await ask(over, running.url, b"[1]")
            assert [1, 1, 2] == [number for number, _ in running.requests]
            assert running.requests[1][1] == running.requests[2][1]

    run_virtual(scenario())


def test_the_new_one_is_not_retried_but_kept() -> None:
    async def scenario() -> None:
        scripts: list[Script] = [["read", THREE, "read", "close"], ["read", "close"], ["read", THREE, "read", THREE]]
        async with upstream(*scripts) as running, transport() as over:
            assert GOOD == await ask(over, running.url)
            failure = await ask(over, running.url)
            assert isinstance(failure, Failure)
            assert (FailureClass.RESET, "reset") == (failure.kind, failure.code)
            assert [GOOD, GOOD] == [await ask(over, running.url) for _ in range(2)]
            assert [1, 1, 2, 3, 3] == [number for number, _ in running.requests]

    run_virtual(scenario())


BLAMED = {
    "it gave a byte": (["read", THREE, "read", b"H", "close"], "bad_head"),
    "it took its time": (["read", THREE, "read", 0.6, "close"], "reset"),
}


@pytest.mark.parametrize("name", BLAMED)
def test_a_kept_one_that_was_serving_is_to_blame(name: str) -> None:
    script, code = BLAMED[name]

    async def scenario() -> None:
        async with upstream(script) as running, transport() as over:  # type: ignore[arg-type]
            assert GOOD == await ask(over, running.url)
            failure = await ask(over, running.url)
            assert isinstance(failure, Failure)
            assert code == failure.code
            assert 1 == running.connections

    run_virtual(scenario())


def test_one_whose_request_is_not_all_sent_is_not_used_again() -> None:
    async def scenario() -> None:
        early = OK.replace(b"200 OK", b"413 Too Large") + b"Content-Length: 0\r\n\r\n"
        async with upstream([0.05, early, "wait"]) as running, transport() as over:
            assert (413, b"") == await ask(over, running.url, b"x" * 50_000_000)
            await ask(over, running.url)
            assert 2 == running.connections

    asyncio.run(scenario())


def test_a_finished_stream_is_run_out_in_the_background() -> None:
    async def scenario() -> None:
        late: Script = ["read", CHUNKED + b"3\r\nabc\r\n", 0.1, b"3\r\nxyz\r\n0\r\n\r\n", *["read", THREE], "wait"]
        async with upstream(late) as running, transport() as over:
            exchange = await post(over, running.url)
            await exchange.read(asyncio.get_running_loop().time() + 1)
            exchange.finish()
            await asyncio.sleep(0.2)
            assert GOOD == await ask(over, running.url)
            assert 1 == running.connections

    run_virtual(scenario())


def test_a_finished_stream_that_goes_on_is_closed() -> None:
    async def scenario() -> None:
        late: Script = ["read", CHUNKED + b"3\r\nabc\r\n", 0.1, b"3\r\nxyz\r\n", 9.0, b"0\r\n\r\n", "wait"]
        async with upstream(late) as running, transport() as over:
            exchange = await post(over, running.url)
            await exchange.read(asyncio.get_running_loop().time() + 1)
            exchange.finish()
            await asyncio.sleep(0.3)
            assert await gone(running.writers[0])

    run_virtual(scenario())


async def gone(writer: asyncio.StreamWriter) -> bool:
    for _ in range(100):
        writer.write(b"x")
        await asyncio.sleep(0.001)
        if writer.transport.is_closing():
            return True
    return False


def test_closing_closes_idle_and_busy_ones() -> None:
    async def scenario() -> None:
        busy: Script = ["read", OK + b"Content-Length: 9\r\n\r\nabc", "wait"]
        async with upstream(["read", 0.1, THREE, "wait"], busy) as running, transport() as over:
            first, second = await asyncio.gather(post(over, running.url), post(over, running.url))
            await over.close()
            assert b"abc" == await whole(first)
            with pytest.raises(TransportError, match="cut"):
                await whole(second)
            for writer in running.writers:
                assert await gone(writer)

    run_virtual(scenario())
