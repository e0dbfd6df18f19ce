"""Reading an answer: what arrives when, back-pressure, timers, and readers that leave."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterable

import pytest

from proxy.core.failure import Failure
from proxy.upstreams.coding import MAX_PIECE, Unpacker, unpacker
from proxy.upstreams.connection import HIGH_WATER, Connection
from proxy.upstreams.transport import TransportError
from tests.support.virtual_time import run_virtual
from tests.upstreams.scripted import CHUNKED, OK, THREE, Script, ask, post, transport, upstream, whole


class FakeTransport(asyncio.Transport):
    """Notes what a connection does to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.together: list[list[bytes | bytearray | memoryview]] = []
        """What was written in pieces."""
        self.done: list[str] = []
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.together.append(list(list_of_data))

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def is_closing(self) -> bool:
        return "abort" in self.done

    def get_write_buffer_size(self) -> int:
        return self.unsent


def connected() -> tuple[Connection, FakeTransport, list[str]]:
    """A connection without a socket, and what is told of it."""
    told: list[str] = []

    def note(word: str) -> Callable[[Connection], None]:
        return lambda _connection: told.append(word)

    connection = Connection(asyncio.get_running_loop(), left=note("left"), lost=note("lost"))
    fake = FakeTransport()
    connection.connection_made(fake)
    return connection, fake, told


def later() -> float:
    return asyncio.get_running_loop().time() + 5.0


async def test_a_small_request_is_one_write_and_a_large_one_is_not_copied() -> None:
    connection, fake, _ = connected()
    connection.ask(b"head", [b"body"])
    connection.abort()
    large, other, _ = connected()
    large.ask(b"head", [b"opening", memoryview(b"x" * 100_000)])
    large.abort()

    assert ([b"headbody"], [[b"head", b"opening", b"x" * 100_000]]) == (fake.written, other.together)


async def test_a_connection_is_free_as_soon_as_its_answer_is_in() -> None:
    connection, fake, told = connected()
    first = connection.ask(b"", [b""])
    connection.data_received(THREE)

    assert (["left"], True) == (told, connection.usable)
    second = connection.ask(b"", [b""])
    connection.data_received(THREE.replace(b"abc", b"xyz"))
    for exchange, body in ((first, b"abc"), (second, b"xyz")):
        await exchange.begin(later())
        assert [body, b""] == [await exchange.read(later()), await exchange.read(later())]
        exchange.close()
    assert [] == fake.done


async def test_a_connection_that_ended_before_it_was_used_is_a_reset() -> None:
    connection, fake, told = connected()
    connection.connection_lost(None)
    exchange = connection.ask(b"head", [b"body"])

    with pytest.raises(TransportError, match="reset"):
        await exchange.begin(later())
    exchange.close()
    assert ([], ["lost"]) == (fake.written, told)


async def test_too_much_unread_stops_the_socket_until_it_is_read() -> None:
    connection, fake, _ = connected()
    exchange = connection.ask(b"", [b""])
    connection.data_received(OK + b"\r\n")
    connection.data_received(b"x" * HIGH_WATER)
    assert [] == fake.done
    connection.data_received(b"x")
    connection.data_received(b"x")
    assert ["pause"] == fake.done

    assert HIGH_WATER + 2 == len(await exchange.read(later()))
    assert ["pause", "resume"] == fake.done
    exchange.close()
    assert ["pause", "resume", "abort"] == fake.done


async def test_a_stopped_socket_goes_on_for_the_next_request() -> None:
    connection, fake, _ = connected()
    exchange = connection.ask(b"", [b""])
    connection.data_received(OK + b"Content-Length: %d\r\n\r\n" % (2 * HIGH_WATER) + b"x" * (2 * HIGH_WATER - 1))
    connection.data_received(b"x")
    assert ["pause", "resume"] == fake.done

    following = connection.ask(b"", [b""])
    connection.data_received(OK + b"\r\n" + b"y" * 2 * HIGH_WATER)
    assert 2 * HIGH_WATER == len(await exchange.read(later()))
    assert ["pause", "resume", "pause"] == fake.done, "reading the last answer must not start the next one"
    following.close()


async def test_a_slow_reader_gets_everything() -> None:
    body = bytes(range(256)) * 40_000
    async with upstream(["read", OK + b"Content-Length: %d\r\n\r\n" % len(body), body]) as running, transport() as over:
        exchange = await post(over, running.url)
        await asyncio.sleep(0.05)
        assert exchange.answer.unread <= 3 * HIGH_WATER
        assert body == await whole(exchange)


def test_what_came_before_a_break_is_read_first() -> None:
    async def scenario() -> None:
        async with upstream(["read", CHUNKED + b"3\r\nabc\r\n", "abort"]) as running, transport() as over:
            exchange = await post(over, running.url)
            await asyncio.sleep(0.1)
            assert b"abc" == await exchange.read(later())
            for _ in range(2):
                with pytest.raises(TransportError, match="cut"):
                    await exchange.read(later())
            exchange.close()

    run_virtual(scenario())


def test_waiting_ends_at_the_moment_given_and_not_before() -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        async with upstream(["read", CHUNKED + b"1\r\na\r\n", "wait"]) as running, transport() as over:
            exchange = await post(over, running.url, patience=1.0)
            await exchange.read(clock() + 1.0)
            # Earlier than the last, later than the last, and already past.
            for patience in (0.5, 7.0, 3.0, 0.0, -1.0):
                started = clock()
                with pytest.raises(TimeoutError):
                    await exchange.read(started + patience)
                assert max(0.0, patience) == pytest.approx(clock() - started)
            exchange.close()

    run_virtual(scenario())


async def test_a_moment_that_is_past_is_past_even_with_something_to_read() -> None:
    connection, _, _ = connected()
    exchange = connection.ask(b"", [b""])
    connection.data_received(THREE)

    with pytest.raises(TimeoutError):
        await exchange.read(asyncio.get_running_loop().time())
    assert b"abc" == await exchange.read(later())


@pytest.mark.parametrize("head", [b"", OK + b"Content-Length: 9\r\n\r\nabc"], ids=["before the head", "in the body"])
def test_a_reader_that_leaves_closes_the_connection_at_once(head: bytes) -> None:
    async def scenario() -> None:
        closed = asyncio.get_running_loop().create_future()

        async with upstream(["read", head, "wait"]) as running, transport() as over:

            async def read() -> None:
                exchange = await post(over, running.url)
                try:
                    while True:
                        await exchange.read(later())
                finally:
                    exchange.close()
                    closed.set_result(None)

            reading = asyncio.ensure_future(read())
            await asyncio.sleep(0.1)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert bool(head) is closed.done()
            while not running.writers[0].transport.is_closing():
                running.writers[0].write(b"x")
                await asyncio.sleep(0.001)

    run_virtual(scenario())


async def test_nothing_is_left_of_an_exchange() -> None:
    loop = asyncio.get_running_loop()
    connection, _, _ = connected()
    exchange = connection.ask(b"", [b""])
    with pytest.raises(TimeoutError):
        await exchange.begin(loop.time() + 0.01)
    waiting = asyncio.ensure_future(exchange.read(later()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    exchange.close()

    connection.connection_lost(None)
    assert (None, None) == (connection._timer, exchange._waiter)
    assert not connection.usable


def test_large_requests_arrive_whole() -> None:
    async def scenario() -> None:
        async with upstream() as running, transport() as over:
            for size in (0, 1, 65_536, 65_537, 3_000_000):
                assert (200, b"abc") == await ask(over, running.url, b"x" * size)
                head, _, body = running.requests[-1][1].partition(b"\r\n\r\n")
                assert (size, size) == (len(body), int(head.rpartition(b" ")[2]))

    run_virtual(scenario())


# Content encodings

TEXT = b"".join(b"data: %d\n\n" % number for number in range(3000))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = {"gzip": gzip.compress(TEXT), "x-gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("packed", [*PACKED.items(), ("deflate", raw_deflate(TEXT))], ids=lambda each: str(each[0]))
def test_what_is_packed_is_unpacked_as_it_comes(packed: tuple[str, bytes], size: int) -> None:
    encoding, data = packed

    async def scenario() -> None:
        head = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding.encode(), len(data))
        pieces: Script = ["read", head, *[data[at : at + size] for at in range(0, len(data), size)], "wait"]
        async with upstream(pieces) as running, transport() as over:
            assert (200, TEXT) == await ask(over, running.url)

    run_virtual(scenario())


UNPACKABLE = {
    "no gzip": ("gzip", b"abcd"),
    "half of it": ("gzip", PACKED["gzip"][:-9]),
    "more behind it": ("gzip", PACKED["gzip"] + b"x"),
    "a wrong sum": ("gzip", PACKED["gzip"][:-8] + b"12345678"),
    "an unknown encoding": ("br", b"abcd"),
    "two encodings": ("gzip, gzip", PACKED["gzip"]),
    "no deflate": ("deflate", b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("name", UNPACKABLE)
def test_what_cannot_be_unpacked_is_said(name: str) -> None:
    encoding, data = UNPACKABLE[name]

    async def scenario() -> None:
        head = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding.encode(), len(data))
        async with upstream(["read", head + data, "wait"]) as running, transport() as over:
            failure = await ask(over, running.url)
            assert isinstance(failure, Failure)
            assert "bad_encoding" == failure.code

    run_virtual(scenario())


def test_an_empty_body_may_say_that_it_is_packed() -> None:
    async def scenario() -> None:
        head = OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
        async with upstream(["read", head, "wait"]) as running, transport() as over:
            assert (200, b"") == await ask(over, running.url)

    run_virtual(scenario())


def test_a_bomb_is_unpacked_piece_by_piece() -> None:
    unpacking = unpacker("gzip")
    assert isinstance(unpacking, Unpacker)
    unpacking.feed(gzip.compress(bytes(100 * MAX_PIECE)))
    sizes = []
    while data := unpacking.take():
        sizes.append(len(data))
    unpacking.end()

    assert (100 * MAX_PIECE, MAX_PIECE) == (sum(sizes), max(sizes))


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_nothing_to_unpack(encoding: str | None) -> None:
    assert unpacker(encoding) is None
