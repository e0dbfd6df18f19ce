"""What takes the shortcut comes to the same as if it had gone the general way."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.openai.chat import event_reader
from proxy.dialects.openai.pattern import pattern_of
from proxy.dialects.openai.said import condense
from proxy.dialects.registry import KINDS
from proxy.execution.relay import POURS, Relay
from proxy.execution.shortcut import Shortcut
from proxy.streams.pattern import Pattern
from proxy.streams.splice import Splice
from proxy.streams.transcript import Room, Said, Transcript
from proxy.upstreams.chunks import OPENINGS, one_chunk
from proxy.upstreams.connection import Connection
from proxy.upstreams.strand import Strand
from tests.streams.test_splice_learning import BLOCKS, TAIL, chunk
from tests.support.virtual_time import run_virtual
from tests.upstreams.test_connection import FakeTransport

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
READ = event_reader(KINDS["openai"].quirks)
IDLE, DEADLINE = 5.0, 1000.0
HOW = ["awaited", "attended", "fast"]


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text: str = '"hello"', more: str = "") -> bytes:
    return b"data: " + chunk(f'"content":{text}', more=more) + b"\n\n"


class Upstream(FakeTransport):
    """Gives what comes to whoever takes it."""

    def __init__(self, taker: asyncio.Protocol) -> None:
        super().__init__()
        self.taker = taker
        self.takers = [taker]

    def set_protocol(self, protocol: Any) -> None:
        self.taker = protocol
        self.takers.append(protocol)


class Client(asyncio.Transport):
    """A client, its lane and its turn; full after every so many writes, until it is waited for."""

    def __init__(self, *, shortcut: bool, fills_after: int) -> None:
        super().__init__()
        self.full = False
        self.got: list[tuple[float, bytes]] = []
        self._shortcut = shortcut
        self._fills_after = fills_after

    @property
    def transport(self) -> asyncio.WriteTransport | None:
        return self

    def write(self, data: Any) -> None:
        self.got.append((asyncio.get_running_loop().time(), data))
        self.full |= len(self.got) % self._fills_after == 0

    def line(self) -> Any:
        return self if self._shortcut else None

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        if self.full:
            return False
        self.write(chunk or framed(data))
        return True


class Outlet:
    """As a `Turn` is to its lane."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.line, self.push = client.line, client.push

    async def write(self, data: bytes) -> None:
        self._client.write(framed(data))
        if self._client.full:
            await asyncio.sleep(0.5)
            self._client.full = False


class Told(NamedTuple):
    """What became of a stream."""

    got: list[tuple[float, bytes]]
    ended: object
    at: float
    said: Said | None
    contents: int
    usage: bytes | None
    takers: int


class Way:
    """One stream from end to end, without sockets."""

    def __init__(
        self,
        *,
        shortcut: bool,
        fills_after: int = 10**9,
        by_strand: bool = True,
        attended: bool = False,
        fast: bool = False,
    ) -> None:
        """`attended`: nobody waits for what comes. `fast`: as the fast path does it, where the client takes its first
        content at once."""
        loop = asyncio.get_running_loop()
        self.connection = Connection(loop, left=lambda _connection: None, lost=lambda _connection: None)
        self.upstream = Upstream(self.connection)
        self.connection.connection_made(self.upstream)
        self.exchange = self.connection.ask(b"", [b""])
        self.client = Client(shortcut=shortcut, fills_after=fills_after)
        self.transcript = Transcript(condense, Room())
        self.splice = Splice(
            READ,
            lambda _data: Failure(FailureClass.BAD_ANSWER, "told"),
            show_usage=True,
            learn=pattern_of,
        )
        self.relay = Relay(
            self.exchange,
            self.splice,
            idle=IDLE,
            deadline=loop.time() + DEADLINE,
            first_until=loop.time() + DEADLINE,
            clock=loop.time,
            permit=None,  # type: ignore[arg-type]
            heard=lambda _permit: None,
        )
        self.attendant = self if attended or fast else None
        self.fast = fast and fills_after > 1
        self.connected = False
        self.ended: list[tuple[object, float]] = []
        if by_strand:
            self.strand = Strand(self._run())
            self.strand.start()
        else:
            self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        await self.exchange.begin(loop.time() + DEADLINE)
        if not self._goes_on():
            await self._serve()

    def needed(self) -> None:
        if not self._goes_on():
            self.strand = Strand(self._serve())
            self.strand.start()

    def _goes_on(self) -> bool:
        if not self.fast:
            return False
        if not self.connected and self.relay.goes_on(self):
            return True
        if not self.connected:
            first = self.relay.opened(10**9)
            if first is None:
                return False
            outlet = Outlet(self.client)
            self.transcript.add(first)
            outlet.push(first)
            self.relay.connect(outlet, self.transcript)
            self.connected = True
        if self.relay.whole:
            self.ended.append((None, asyncio.get_running_loop().time()))
            return True
        return self.relay.goes_on(self)

    async def _serve(self) -> None:
        ended: object = None
        if not self.connected:
            first = await self.relay.gate(self.attendant)
            if first is None:
                return
            if isinstance(first, bytes):
                outlet = Outlet(self.client)
                self.transcript.add(first)
                await outlet.write(first)
                self.relay.connect(outlet, self.transcript)
                self.connected = True
            ended = first
        if self.connected:
            ended = await self.relay.run(self.attendant)
        if ended is not POURS:
            self.ended.append((ended, asyncio.get_running_loop().time()))

    async def came(self, pieces: list[bytes], apart: float) -> None:
        for piece in pieces:
            if self.ended:
                break
            self.upstream.taker.data_received(piece)  # type: ignore[attr-defined]
            await asyncio.sleep(apart)

    async def told(self) -> Told:
        while not self.ended:  # noqa: ASYNC110 - it is over when it is
            await asyncio.sleep(0.25)
        (ended, at), taker = self.ended[0], self.upstream.taker
        assert taker is self.connection
        takers = len(self.upstream.takers)
        return Told(self.client.got, ended, at, self.transcript.said(), self.splice.contents, self.splice.usage, takers)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted({place % len(data) for place in cuts} - {0}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


USUAL = st.sampled_from(['"a"', '"hello"', '" 中文"', '"\\n"', '"\\""', '"😀"', '"' + "x" * 90 + '"']).map(event)
ODD_CHUNKS = st.sampled_from([b"01\r\na\r\n", b"1;x\r\na\r\n", b"1\r\na\r\n"]) | st.lists(
    BLOCKS, min_size=1, max_size=4
).map(lambda blocks: framed(b"".join(blocks)))
CHUNKS = st.one_of([USUAL.map(framed)] * 8 + [ODD_CHUNKS])
READS = st.lists(
    st.one_of(
        [CHUNKS.map(lambda one: [one])] * 6
        + [st.lists(CHUNKS, min_size=2, max_size=4).map(lambda some: [b"".join(some)])]
        + [st.builds(cut, CHUNKS, st.lists(st.integers(1, 500), min_size=1, max_size=3))]
    ),
    min_size=2,
    max_size=30,
).map(lambda reads: [piece for read in reads for piece in read])


def both(
    pieces: list[bytes], *, fills_after: int = 10**9, apart: float = 0.0, ends: bool = True, how: str = "awaited"
) -> list[Told]:
    """What becomes of a stream with the shortcut, and without it; `how` is as of the first."""

    async def one(*, shortcut: bool) -> Told:
        way = Way(
            shortcut=shortcut,
            fills_after=fills_after,
            attended=shortcut and how == "attended",
            fast=shortcut and how == "fast",
        )
        await way.came([HEAD, *pieces, *([framed(TAIL) + b"0\r\n\r\n"] if ends else [])], apart)
        return await way.told()

    async def scenario() -> list[Told]:
        start = asyncio.get_running_loop().time()
        short = await one(shortcut=True)
        between = asyncio.get_running_loop().time()
        general = await one(shortcut=False)
        return [moved(short, start), moved(general, between)]

    return run_virtual(scenario())


def moved(told: Told, start: float) -> Told:
    """As if it had begun at 0."""
    return told._replace(got=[(round(at - start, 3), data) for at, data in told.got], at=round(told.at - start, 3))


@given(
    READS,
    st.sampled_from([10**9, 10**9, 1, 2, 5]),
    st.sampled_from([0.0, 0.0, 0.125]),
    st.booleans(),
    st.sampled_from(HOW),
)
@settings(deadline=None)
@example([framed(event())] * 200, 10**9, 0.0, True, "fast")
@example([framed(event())] * 200, 10**9, 0.0, True, "attended")
@example([framed(event())] * 20, 3, 0.125, True, "attended")
@example([framed(event())] * 9 + [b"3\r\n"], 10**9, 0.0, False, "fast")
@example([framed(event())] * 9 + [b"3\r\n"], 10**9, 0.0, False, "attended")
@example([framed(event())] * 9 + [b"3\r\n"], 10**9, 0.0, False, "awaited")
def test_both_ways_come_to_the_same(pieces: list[bytes], fills_after: int, apart: float, ends: bool, how: str) -> None:
    short, general = both(pieces, fills_after=fills_after, apart=apart, ends=ends, how=how)

    assert general._replace(takers=0) == short._replace(takers=0)
    assert 1 == general.takers


@pytest.mark.parametrize("how", HOW)
def test_the_shortcut_is_taken(how: str) -> None:
    short, _ = both([framed(event())] * 20, how=how)

    assert 3 == short.takers


@pytest.mark.parametrize("pause", [4.0, 6.0])
def test_a_stream_has_its_idle_time_from_the_last_text_on(pause: float) -> None:
    """Also where the last text took the shortcut, and only for what is content."""

    async def one(*, shortcut: bool) -> tuple[object, float, list[bytes]]:
        way, start = Way(shortcut=shortcut), asyncio.get_running_loop().time()
        await way.came([HEAD, *[framed(event())] * 10], 0.5)
        await way.came([framed(b": ping\n\n")] * 3, pause / 3)
        await way.came([framed(event())] * 3, 0.5)
        told = await way.told()
        return told.ended, round(told.at - start, 2), [data for _, data in told.got]

    async def scenario() -> list[object]:
        return [await one(shortcut=True), await one(shortcut=False)]

    short, general = run_virtual(scenario())
    assert general == short
    assert "idle_timeout" == short[0].code  # type: ignore[index]


@pytest.mark.parametrize("by_strand", [True, False])
def test_whoever_stops_is_rid_of_it_at_once(*, by_strand: bool) -> None:
    """The connection takes what comes itself again, and closes."""

    async def scenario() -> None:
        way = Way(shortcut=True, by_strand=by_strand)
        await way.came([HEAD, *[framed(event())] * 6], 0.01)
        assert isinstance(way.upstream.taker, Shortcut)
        if by_strand:
            way.strand.cancel()
        else:
            way.task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert way.connection is way.upstream.taker
        way.relay.close()
        assert ["abort"] == way.upstream.done

    run_virtual(scenario())


@pytest.mark.parametrize("clean", [True, False])
def test_an_upstream_that_ends_is_heard(*, clean: bool) -> None:
    async def one(*, shortcut: bool) -> Told:
        way = Way(shortcut=shortcut)
        await way.came([HEAD, *[framed(event())] * 9], 0.0)
        taker: Any = way.upstream.taker
        if clean:
            taker.eof_received()
        else:
            taker.connection_lost(ConnectionResetError())
        return (await way.told())._replace(got=[], at=0.0, takers=0)

    async def scenario() -> list[Told]:
        return [await one(shortcut=True), await one(shortcut=False)]

    short, general = run_virtual(scenario())
    assert general == short
    assert isinstance(short.ended, Failure)
    assert ("cut", 9) == (short.ended.code, short.contents)


class Room64:
    """A line and books that note what they are told."""

    full = False

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.sent: list[bytes] = []
        self.general: list[bytes] = []
        self.transport: Any = self

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def data_received(self, data: bytes) -> None:
        self.general.append(data)

    def usual(self) -> Pattern:
        return self.pattern

    def book(self, *_told: object) -> None:
        """Nobody asks."""

    def patience(self) -> float:
        return 0.0


PLAIN = Pattern(b'{"n":1,"content":"', b'","end":null}')
PADDED = Pattern(b'{"n":1,"content":"', b'","end":null}', (b'","p":"', b'"}'))
INNER = st.binary(max_size=8) | st.sampled_from(
    [b"a", b"", b'"', b"\\", b"a\\", b'","', b'\\"', b"\\u00e9", b"\\u00", b"\\ud83d", b"\xff", b"\n", b"\r\n", b"\x00",
     b'","end":null}', b'","end":null}\n\n', b'","p":"', b'a","p":"b', b'","p":"b', b'a","p":"', b'a","p":"","p":"',
     "é中😀".encode(), b"x" * 190, b"x" * 900, b"x" * 1100]
)  # fmt: skip
AROUND = st.sampled_from(
    [(b'data: {"n":1,"content":"', b'","end":null}\n\n'), (b'data: {"n":1,"content":"', b'"}\n\n')]
)
SIZES = st.sampled_from([b"%x\r\n", b"%x\r\n", b"%x\r\n", b"%X\r\n", b"0%x\r\n", b"%x;\r\n", b"%x\n", b"+%x\r\n"])


@given(
    st.sampled_from([PLAIN, PADDED]), AROUND, INNER, SIZES, st.sampled_from([0, 0, 0, 1, -1, 16]),
    st.sampled_from([b"\r\n", b"\r\n", b"\n\n", b"\r\n1", b""]),
)  # fmt: skip
@settings(max_examples=500)
def test_a_usual_chunk_is_what_chunks_and_patterns_say(
    pattern: Pattern, around: tuple[bytes, bytes], inner: bytes, size: bytes, off: int, end: bytes
) -> None:
    content = around[0] + inner + around[1]
    data = size % max(0, len(content) + off) + content + end
    noted = Room64(pattern)
    taker = Shortcut(noted, noted, pattern, noted, noted, lambda: 0.0)  # type: ignore[arg-type]
    taker.data_received(data)

    found = one_chunk(data)
    usual = found is not None and pattern.lead(found) == (1, len(found)) and len(data) < len(OPENINGS)
    assert ([data] if usual else [], [] if usual else [data]) == (noted.sent, noted.general)


@given(st.lists(st.sampled_from([b'"a"', b'"\\n"', b'" "']), min_size=1))
def test_events_are_made_of_their_texts_again(texts: list[bytes]) -> None:
    events = b"".join(b'data: {"n":1,"content":' + text + b',"end":null}\n\n' for text in texts)

    assert events == PLAIN.events(texts)
    assert (len(texts), len(events)) == PLAIN.lead(events)
