"""With the front lane on and with it off, when something goes wrong: upstreams that fail, clients that leave or read
nothing, a server that is full or drains."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass

import pytest

from proxy.core.event import RequestEnded
from tests.support.doors import CLOSED, OPEN, Heard, answers_in, left, talk, through_both
from tests.support.fleet import ROUTES, Fleet, until
from tests.support.raw import BODY, hang_up, head

NEXT = head() + BODY


def asking(*, stream: bool, model: str = "chat", **more: object) -> bytes:
    """A whole request."""
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}], **more}
    encoded = json.dumps(body).encode()
    return head(len(encoded)) + encoded


FAULTS = [
    "refuse", "reset", "reset_after_headers", "close", "hang", "stale", "503", "429", "unauthorized", "quota",
    "context", "content_filter", "unsupported_parameter", "model_missing", "html_502", "redirect",
    "slow_body:seconds=2", "role_then_silence", "pings", "empty_deltas", "stall", "cut", "cut:how=close",
    "cut_clean", "truncated_json", "no_done", "no_done_hang", "malformed", "error_first", "error_later",
    "error_then_done", "error_field", "error_200", "empty", "empty_body", "garbage", "wrong_type",
    "content_filter_finish", "gzip", "huge_headers", "crlf", "cr_only", "comments", "bom", "multiline",
    "split_utf8", "surrogates", "big_event",
]  # fmt: skip
LAST_RESORT = ROUTES + "  kept: {chain: [primary/m], last_resort: {text: Nobody is there.}}\n"


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("model", ["chat", "alone", "kept"])
@pytest.mark.parametrize("fault", FAULTS)
def test_upstreams_that_fail(fault: str, model: str, *, stream: bool) -> None:
    """Failed over, gone on with elsewhere, told in-band, answered by the last resort: and the connection goes on."""

    async def scenario(running: Fleet) -> tuple[Heard, list[tuple[object, ...]], tuple[int, int]]:
        await running.simulator.inject("primary", fault)
        heard = await talk(running, asking(stream=stream, model=model), 70.0, NEXT, patience=30.0)
        await until(lambda: left(running) == (0, 0))
        heard.seconds = 0.0
        return heard, [_written_down(each) for each in running.records], left(running)

    on, off = through_both(scenario, LAST_RESORT)
    assert off == on
    assert b"" == on[0].rest


def _written_down(record: RequestEnded) -> tuple[object, ...]:
    attempts = [(str(each.deployment), each.outcome) for each in record.attempts]
    return record.status, record.outcome, record.flag, record.stream, attempts, record.usage is not None, record.tags


CLIENTS = (
    ROUTES + "clients: [{name: team, key: sk-12345678-team}, {name: other, key: sk-12345678-other, routes: [three]}]\n"
)
KEYS = {
    "none": (),
    "a wrong one": ("Authorization: Bearer sk-12345678-wrong",),
    "another scheme": ("Authorization: Basic sk-12345678-team",),
    "the right one": ("Authorization: Bearer sk-12345678-team",),
    "in x-api-key": ("x-api-key: sk-12345678-team",),
    "of somebody who may not": ("Authorization: Bearer sk-12345678-other",),
}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "body later"])
@pytest.mark.parametrize("key", KEYS)
def test_keys_of_clients(key: str, *, later: bool) -> None:
    """One head after another on one connection: whoever asked before says nothing about who asks now."""
    mine, good = head(len(BODY), *KEYS[key]), head(len(BODY), *KEYS["the right one"])

    async def scenario(running: Fleet) -> Heard:
        pieces: tuple[bytes | float, ...] = (mine, 0.5, BODY) if later else (mine + BODY,)
        heard = await talk(running, good + BODY, *pieces, 0.1, mine + BODY, 0.1, good + BODY)
        heard.seconds = 0.0
        return heard

    on, off = through_both(scenario, CLIENTS)
    assert off == on
    expected = {"the right one": 200, "in x-api-key": 200, "of somebody who may not": 403}.get(key, 401)
    assert [200, expected, expected, 200] == on.statuses


@dataclass
class Client:
    """One raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(cls, running: Fleet, sent: bytes) -> Client:
        client = cls(*await asyncio.open_connection("127.0.0.1", running.proxy.port))
        client.writer.write(sent)
        return client

    async def leave(self, how: str) -> None:
        if how == "reset":
            raw: socket.socket = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await hang_up(self.writer)


STAGES: dict[str, tuple[str | None, bytes, float]] = {
    "before anything": (None, b"", 0.5),
    "within the head": (None, NEXT[:40], 0.5),
    "behind the head": (None, head(), 0.5),
    "within the body": (None, NEXT[:-5], 0.5),
    "within a large body": (None, head(200_000) + b"x" * 120_000, 0.5),
    "while the upstream thinks": ("hang", asking(stream=False), 1.0),
    "while the upstream's body comes": ("slow_body:seconds=5", asking(stream=False), 2.0),
    "before content": ("role_then_silence", asking(stream=True), 1.0),
    "within pings": ("pings", asking(stream=True), 1.0),
    "within the stream": ("endless:interval=0.1", asking(stream=True), 1.0),
    "within a stalled stream": ("stall:after=3", asking(stream=True), 1.0),
    "while it waits before a retry": ("429:retry_after=2,times=1", asking(stream=True), 1.0),
    "between requests": (None, NEXT, 1.0),
    "with another one ahead": ("hang", NEXT + NEXT, 1.0),
    "with half of one ahead": ("hang", NEXT + NEXT[:30], 1.0),
    "with some ahead": ("hang", NEXT * 5, 1.0),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_clients_that_leave(stage: str, how: str) -> None:
    fault, sent, after = STAGES[stage]

    async def scenario(running: Fleet) -> tuple[object, ...]:
        clock = asyncio.get_running_loop().time
        await running.simulator.inject("primary", fault)
        client = await Client.of(running, sent)
        await asyncio.sleep(after)
        await client.leave(how)
        at = clock()
        await until(lambda: left(running) == (0, 0))
        await asyncio.sleep(0.1)
        took = clock() - at
        # Whatever it left is found where nothing is pending any more: no lane, no connection of aiohttp's.
        lanes = len(running.proxy._listener._lanes)
        server = running.proxy._listener._runner.server
        wide = 0 if server is None else len(server.connections)
        records = [_written_down(each) for each in running.records]
        counts = [(each.in_flight, each.failed, each.consecutive_failures) for each in running.proxy.pool.deployments()]
        aborted = running.simulator.upstream("primary").aborted
        return took < 0.5, lanes, wide, records, counts, aborted, running.received("backup")

    on, off = through_both(scenario)
    assert off == on
    assert (True, 0, 0) == on[:3]


def test_a_full_server() -> None:
    routes = ROUTES.replace("server: {port: 0", "server: {port: 0, max_concurrent: 2, max_waiting: 1")

    async def scenario(running: Fleet) -> tuple[Heard, Heard, Heard]:
        await running.simulator.inject("primary", "hang")
        running_ones = [await Client.of(running, asking(stream=stream, model="alone")) for stream in (True, False)]
        await until(lambda: len(running.proxy.lifecycle.running) == 2)
        refused = await talk(running, NEXT + NEXT, patience=10.0)
        later = await talk(running, head(), 0.1, BODY + NEXT, patience=10.0)
        for client in running_ones:
            await client.leave("close")
        await until(lambda: left(running) == (0, 0))
        await running.simulator.inject("primary", None)
        served = await talk(running, NEXT)
        for heard in (refused, later, served):
            heard.seconds = 0.0
        return refused, later, served

    on, off = through_both(scenario, routes)
    assert off == on
    assert ([503], CLOSED) == (on[0].statuses, on[0].end)
    assert ([503], CLOSED) == (on[1].statuses, on[1].end)
    assert ([200], OPEN) == (on[2].statuses, on[2].end)


DRAINED: dict[str, tuple[str | None, tuple[bytes | float, ...]]] = {
    "an idle connection": (None, (NEXT, 0.6, NEXT + NEXT)),
    "a request under way": (None, (head(), 0.6, BODY + NEXT)),
    "one that is refused": (None, (head(2), 0.6, b"[]" + NEXT)),
    "one that is refused, in parts": (None, (head(2) + b"[", 0.6, b"]" + NEXT)),
    "a stream": ("endless:interval=0.1", (asking(stream=True) + NEXT,)),
    "a silent stream": ("stall:after=3", (asking(stream=True, model="alone"),)),
    "nothing of an answer yet": ("hang", (asking(stream=True) + NEXT,)),
    "nothing of an answer yet, JSON": ("hang", (NEXT,)),
    "half a body": (None, (head() + BODY[:-1],)),
    "half a head": (None, (head()[:-1],)),
}


@pytest.mark.parametrize("name", DRAINED)
def test_draining(name: str) -> None:
    """The drain begins half a second after the first bytes, and lasts two."""
    fault, pieces = DRAINED[name]
    routes = ROUTES.replace("server: {port: 0", "server: {port: 0, drain: {timeout: 2s}")

    async def scenario(running: Fleet) -> tuple[object, ...]:
        await running.simulator.inject("primary", fault)
        talking = asyncio.ensure_future(talk(running, *pieces, patience=5.0))
        await asyncio.sleep(0.5)
        await running.proxy.drain()
        heard = await talking
        heard.seconds = 0.0
        if fault == "endless:interval=0.1":
            # How much of it comes is not the question.
            assert b'"code":"shutting_down"' in heard.answers[0].body[-400:]
            heard.answers = [type(each)(each.status, each.headers, b"") for each in heard.answers]
        records = [_written_down(each) for each in running.records]
        return heard, records, left(running)

    on, off = through_both(scenario, routes)
    assert off == on


PATIENT = ROUTES.replace("server: {port: 0", "server: {port: 0, timeout: {write: 5s}").replace(
    "deadline: 60s", "deadline: 30s"
)


@pytest.mark.parametrize("what", ["stream", "json"])
def test_slow_readers(what: str) -> None:
    """A client that takes nothing holds the upstream back, and loses the connection when its time is over."""

    async def scenario(running: Fleet) -> tuple[object, ...]:
        clock = asyncio.get_running_loop().time
        primary = running.simulator.upstream("primary")
        await running.simulator.inject("primary", "big_event:size=8000000")
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", running.proxy.port))
        started = clock()
        await loop.sock_sendall(raw, asking(stream=what == "stream", model="alone"))
        await until(lambda: running.records, patience=100)
        took = clock() - started
        raw.close()
        await asyncio.sleep(0.1)
        assert 1 == len(primary.requests)
        return _written_down(running.records[0]), 5.0 <= took < 6.0, left(running), len(running.proxy._listener._lanes)

    on, off = through_both(scenario, PATIENT)
    assert off == on
    assert (True, (0, 0), 0) == on[1:]
    assert (499, "client_left", "DC") == on[0][:3]


def test_a_stream_that_nobody_reads_is_held_back() -> None:
    """Only so much of an endless stream is taken from the upstream as the buffers on the way to the client hold."""
    routes = PATIENT.replace("write: 5s", "write: 20s")

    async def scenario(running: Fleet) -> tuple[bool, bool]:
        await running.simulator.inject("primary", "endless:interval=0")
        running.simulator.upstream("primary").voice.answer = "word " * 1000
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", running.proxy.port))
        await loop.sock_sendall(raw, asking(stream=True, model="alone"))
        await asyncio.sleep(10)
        still = len(running.proxy.lifecycle.running)
        taken = 0
        while taken < 3_000_000:
            taken += len(await loop.sock_recv(raw, 65536))
        raw.close()
        await until(lambda: left(running) == (0, 0))
        return still == 1, running.records[0].status == 499

    assert ((True, True), (True, True)) == through_both(scenario, routes)


def test_a_slow_reader_that_reads_gets_everything() -> None:
    async def scenario(running: Fleet) -> tuple[object, ...]:
        await running.simulator.inject("primary", "big_event:size=3000000")
        client = await Client.of(running, asking(stream=True) + asking(stream=False) + NEXT)
        received = b""
        for _ in range(30):
            await asyncio.sleep(0.3)
            received += await client.reader.read(300_000)
        while len(answers_in(received)[0]) < 3 or not answers_in(received)[0][-1].whole:
            received += await client.reader.read(1_000_000)
        await client.leave("close")
        return tuple(answers_in(received))

    on, off = through_both(scenario)
    assert off == on


def test_a_client_that_asks_and_asks_and_reads_nothing() -> None:
    """What waits for it does not grow with what it asks for."""

    async def scenario(running: Fleet) -> tuple[int, int]:
        running.simulator.upstream("primary").voice.answer = "x" * 30_000
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", running.proxy.port))
        sending = asyncio.ensure_future(loop.sock_sendall(raw, NEXT * 30_000))
        await asyncio.sleep(3)
        asked = running.received("primary")
        await asyncio.sleep(10)
        more = running.received("primary") - asked
        waiting = [len(lane._ahead) for lane in running.proxy._listener._lanes]
        assert max(waiting, default=0) < 500_000
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        # Once it reads, it is served.
        received = b""
        while received.count(b"HTTP/1.1 200") <= asked:
            received += await loop.sock_recv(raw, 1_000_000)
        raw.close()
        return asked, more

    for asked, more in through_both(scenario, PATIENT.replace("write: 5s", "write: 60s")):
        assert 0 == more
        assert asked < 250
