"""A body that is poured: piece by piece within the callbacks that bring it, and nothing of it lost or late."""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.upstreams.connection import HIGH_WATER
from proxy.upstreams.exchange import Exchange, Poured
from proxy.upstreams.strand import Strand
from proxy.upstreams.transport import TransportError
from tests.support.virtual_time import run_virtual
from tests.upstreams.test_connection import connected

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


class Pouring:
    """An exchange whose body is poured, by a task or by a strand."""

    def __init__(self, *, by_strand: bool, wants: int = 10**9, until: float = 5.0) -> None:
        """The sink wants no more after `wants` pieces; each has `until` seconds."""
        self.connection, self.fake, self.told = connected()
        self.exchange = self.connection.ask(b"", b"")
        self.pieces: list[bytes] = []
        self.chunks: list[bytes | None] = []
        self.ended: list[object] = []
        self._wants = wants
        self._until = until
        if by_strand:
            Strand(self._run()).start()
        else:
            self.task = asyncio.ensure_future(self._run())

    def came(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self.exchange.begin(loop.time() + 5.0)
            while await self.exchange.pour(self._sink, loop.time() + self._until) is Poured.ENOUGH:
                self.ended.append("no more")
                self._wants = 10**9
            self.ended.append("end")
        except (TransportError, TimeoutError, ValueError) as error:
            self.ended.append(type(error).__name__)

    def _sink(self, piece: bytes, chunk: bytes | None) -> float | None:
        self.pieces.append(piece)
        self.chunks.append(chunk)
        if piece == b"broken":
            raise ValueError
        if len(self.pieces) == self._wants:
            return None
        return asyncio.get_running_loop().time() + self._until

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


WAYS = pytest.mark.parametrize("by_strand", [True, False], ids=["strand", "task"])


def test_a_strand_gets_each_piece_at_once() -> None:
    async def scenario() -> None:
        pouring = Pouring(by_strand=True)
        pouring.came(HEAD)
        assert [] == pouring.pieces
        pouring.came(chunk(b"a"))
        assert [b"a"] == pouring.pieces
        pouring.came(chunk(b"b"), chunk(b"c"))
        assert ([b"a", b"b", b"c"], [chunk(b"a"), chunk(b"b"), chunk(b"c")]) == (pouring.pieces, pouring.chunks)
        pouring.came(chunk(b"d") + chunk(b"e") + b"0\r\n\r\n")
        assert (b"abcde", None, ["end"], ["left"]) == (
            pouring.body, pouring.chunks[-1], pouring.ended, pouring.told
        )  # fmt: skip

    run_virtual(scenario())


@WAYS
@pytest.mark.parametrize("wants", [1, 2, 3, 10**9])
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "apart"])
def test_whatever_comes_in_one_turn_is_poured(*, by_strand: bool, wants: int, pause: bool) -> None:
    """Half chunks and whole ones, one right after the other, before a task has had its turn."""
    came = [
        HEAD,
        chunk(b"a"),
        b"1\r",
        b"\nb\r\n",
        chunk(b"c"),
        b"01\r\nd\r\n",
        chunk(b"e"),
        chunk(b"f"),
        b"0\r\n\r\n",
    ]

    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand, wants=wants)
        await turns()
        for piece in came:
            pouring.came(piece)
            if pause:
                await turns()
        await turns()
        assert (b"abcdef", "end") == (pouring.body, pouring.ended[-1])

    run_virtual(scenario())


@WAYS
@pytest.mark.parametrize("half", [b"1\r", b"1\r\n", b"01\r\n"])
def test_chunks_right_behind_a_half_one(half: bytes, *, by_strand: bool) -> None:
    """The half one ends the wait of a task that has not had its turn when the others come."""

    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand)
        await turns()
        pouring.came(HEAD, chunk(b"a"))
        await turns()
        whole = half.rstrip(b"\r\n") + b"\r\nb\r\n"
        pouring.came(half, whole[len(half) :], chunk(b"c"), chunk(b"d"))
        await turns()
        pouring.came(chunk(b"e"), b"0\r\n\r\n")
        await turns()

        assert (b"abcde", ["end"]) == (pouring.body, pouring.ended)

    run_virtual(scenario())


@settings(max_examples=300)
@given(
    contents=st.lists(st.binary(min_size=1, max_size=20), max_size=8),
    places=st.lists(st.integers(0, 300), max_size=8),
    pauses=st.lists(st.booleans(), min_size=20, max_size=20),
    wants=st.integers(1, 12),
    by_strand=st.booleans(),
)
def test_however_it_comes(
    *, contents: list[bytes], places: list[int], pauses: list[bool], wants: int, by_strand: bool
) -> None:
    data = HEAD + b"".join(map(chunk, contents)) + b"0\r\n\r\n"
    ends = sorted({place % len(data) for place in places} | {0, len(data)} | {len(HEAD)})

    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand, wants=wants)
        await turns()
        for (a, b), pause in zip(itertools.pairwise(ends), itertools.cycle(pauses), strict=False):
            pouring.came(data[a:b])
            if pause:
                await turns()
        await turns()
        assert (b"".join(contents), "end", ["left"]) == (pouring.body, pouring.ended[-1], pouring.told)

    run_virtual(scenario())


@WAYS
def test_a_break_comes_behind_what_came_before_it(*, by_strand: bool) -> None:
    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand)
        await turns()
        pouring.came(HEAD, chunk(b"a"))
        await turns()
        pouring.came(chunk(b"b") + b"zz\r\n")
        await turns()

        assert (b"ab", ["TransportError"], ["abort"]) == (pouring.body, pouring.ended, pouring.fake.done)

    run_virtual(scenario())


@WAYS
@pytest.mark.parametrize("clean", [True, False])
def test_the_connection_ends_within_the_body(*, by_strand: bool, clean: bool) -> None:
    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand)
        await turns()
        pouring.came(HEAD, chunk(b"a"))
        await turns()
        pouring.connection.connection_lost(None if clean else ConnectionResetError())
        await turns()

        assert (b"a", ["TransportError"], ["lost"]) == (pouring.body, pouring.ended, pouring.told)

    run_virtual(scenario())


@WAYS
def test_each_piece_has_its_time(*, by_strand: bool) -> None:
    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand, until=2.0)
        await turns()
        pouring.came(HEAD)
        for _ in range(5):
            await asyncio.sleep(1.9)
            pouring.came(chunk(b"a"))
        await asyncio.sleep(1.99)
        assert [] == pouring.ended
        await asyncio.sleep(0.02)
        assert (b"aaaaa", ["TimeoutError"]) == (pouring.body, pouring.ended)

    run_virtual(scenario())


@WAYS
def test_a_sink_that_breaks(*, by_strand: bool) -> None:
    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand)
        await turns()
        pouring.came(HEAD, chunk(b"a"))
        await turns()
        pouring.came(chunk(b"broken"), chunk(b"b"))
        await turns()
        assert ["ValueError"] == pouring.ended
        # The exchange goes on for whoever reads it.
        assert b"b" == await pouring.exchange.read(asyncio.get_running_loop().time() + 1)

    run_virtual(scenario())


@WAYS
def test_a_sink_that_wants_no_more_holds_the_upstream_back(*, by_strand: bool) -> None:
    async def scenario() -> None:
        made: list[Exchange] = []

        async def run() -> None:
            made.append(connection.ask(b"", b""))
            await made[0].begin(5000.0)
            await made[0].pour(lambda _piece, _chunk: None, 5000.0)

        connection, fake, _ = connected()
        Strand(run()).start() if by_strand else asyncio.ensure_future(run())
        await turns()
        connection.data_received(HEAD + chunk(b"a"))
        await turns()
        for _ in range(HIGH_WATER // 65536 + 1):
            connection.data_received(chunk(b"x" * 65536))
        assert ["pause"] == fake.done
        await made[0].read(5000.0)
        assert ["pause", "resume"] == fake.done

    run_virtual(scenario())


@WAYS
def test_what_is_packed_is_unpacked(*, by_strand: bool) -> None:
    async def scenario() -> None:
        pouring = Pouring(by_strand=by_strand)
        await turns()
        pouring.came(HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"))
        packed = gzip.compress(b"hello " * 100)
        for byte in packed:
            pouring.came(chunk(bytes([byte])))
            await turns()
        pouring.came(b"0\r\n\r\n")
        await turns()

        assert (b"hello " * 100, ["end"]) == (pouring.body, pouring.ended)
        assert {None} == set(pouring.chunks)

    run_virtual(scenario())


def test_a_strand_that_is_cancelled_while_it_pours() -> None:
    async def scenario() -> None:
        connection, fake, told = connected()
        exchange = connection.ask(b"", b"")
        poured: list[bytes] = []

        def sink(piece: bytes, chunk: bytes | None) -> float | None:
            del chunk
            poured.append(piece)
            return 5000.0

        async def run() -> None:
            try:
                await exchange.begin(5000.0)
                await exchange.pour(sink, 5000.0)
            finally:
                exchange.close()

        strand = Strand(run())
        strand.start()
        connection.data_received(HEAD + chunk(b"a"))
        strand.cancel()

        assert ([b"a"], ["abort"], True) == (poured, fake.done, strand.over)
        connection.connection_lost(None)
        assert ["lost"] == told

    run_virtual(scenario())


@WAYS
@pytest.mark.parametrize("came", [[], [HEAD], [HEAD, chunk(b"a")]], ids=["nothing", "head", "piece"])
def test_a_time_that_is_over_leaves_nothing_to_the_collector(*, by_strand: bool, came: list[bytes]) -> None:
    async def scenario() -> list[object]:
        gc.collect()
        gc.disable()
        pouring = Pouring(by_strand=by_strand)
        await turns()
        pouring.came(*came)
        await asyncio.sleep(5.1)
        assert ["TimeoutError"] == pouring.ended
        pouring.connection.abort()
        pouring.connection.connection_lost(None)
        del pouring
        return [each for each in gc.get_objects() if isinstance(each, Exchange)]

    try:
        assert [] == run_virtual(scenario())
    finally:
        gc.enable()
