"""Streams that go on by themselves: nobody waits for them, and still nothing that can happen to one is missed."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.execution.relay import Relay
from proxy.upstreams.strand import Strand
from tests.server.test_lane import Connected
from tests.support.fleet import Fleet, fleet, until
from tests.support.raw import hang_up, head, serving
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {{port: 0}}
upstreams:
  slow: {{kind: openai, base_url: "http://{address}/v1", api_key: k}}
  backup: {{kind: simulated}}
defaults: {{deadline: 60s, timeout: {{connect: 1s, first_token: 8s, idle: 4s}}}}
routes:
  chat: {{chain: [slow/m, backup/m]}}
  hedged: {{chain: [slow/m, backup/m], hedge: {{after: 3s}}}}
"""
BODY = b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"hi"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ROLE, CONTENT, END = '"role":"assistant","content":""', '"content":"one "', ""


def chunk(delta: str, finish: str = "null") -> bytes:
    event = f'data: {{"id":"c","choices":[{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}]}}\n\n'.encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


TAIL = chunk(END, '"stop"') + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
SOON = {"gated": [HEAD + chunk(ROLE)], "running": [HEAD + chunk(ROLE), *[chunk(CONTENT)] * 5]}
"""What has come of a stream, by where it is then."""


class Slow:
    """An upstream that says what it is told to, and its one client."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.got = b""
        self.client: asyncio.StreamWriter
        self.way: asyncio.StreamWriter

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if not asked.startswith(b"POST /v1/chat"):
            return
        self.way = writer
        self.asked.set()
        while await reader.read(1000):
            pass
        self.left.set()

    async def says(self, *pieces: bytes) -> None:
        await self.asked.wait()
        for piece in pieces:
            self.way.write(piece)
            await asyncio.sleep(0.1)

    async def ask(self, running: Fleet, body: bytes = BODY) -> None:
        reader, self.client = await asyncio.open_connection("127.0.0.1", running.proxy.port)
        self.client.write(head(len(body)) + body)
        self._reading = asyncio.ensure_future(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1000):
            self.got += data

    async def leave(self) -> None:
        await hang_up(self.client)
        await asyncio.wait([self._reading])


@asynccontextmanager
async def asked(where: str) -> AsyncIterator[tuple[Fleet, Slow]]:
    slow = Slow()
    async with serving(slow.answer) as address, fleet(ROUTES.format(address=address)) as running:
        await slow.ask(running)
        await slow.says(*SOON[where])
        yield running, slow
        await slow.leave()


def waiting() -> list[str]:
    """The coroutines of the proxy that wait for something on behalf of a request."""
    found = [each for each in gc.get_objects() if inspect.iscoroutine(each)]
    return [
        each.__qualname__
        for each in found
        if any(part in each.cr_code.co_filename for part in ("/proxy/server/", "/proxy/execution/"))
    ]


WHERES = pytest.mark.parametrize("where", ["gated", "running"])


@WHERES
def test_nobody_waits_for_one(where: str) -> None:
    async def scenario() -> None:
        async with asked(where) as (running, slow):
            assert (1, []) == (len(running.proxy.lifecycle.running), waiting())
            await slow.says(chunk(CONTENT), chunk(CONTENT), TAIL)

            await until(lambda: running.records)
            assert slow.got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            assert slow.got.count(b"one ") == (2 if where == "gated" else 7)
            record = running.records[0]
            assert ("ok", [("ok", 200)]) == (record.outcome, [(each.outcome, each.status) for each in record.attempts])

    run_virtual(scenario())


@WHERES
def test_a_client_that_leaves(where: str) -> None:
    async def scenario() -> None:
        async with asked(where) as (running, slow):
            await slow.leave()
            await until(lambda: running.records)
            record = running.records[0]

            assert ("client_left", ["cancelled"]) == (record.outcome, [each.outcome for each in record.attempts])
            assert not running.proxy.lifecycle.running
            await asyncio.wait_for(slow.left.wait(), 1)

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("where", "told"),
    [("gated", b"HTTP/1.1 503 "), ("running", b'"code":"shutting_down"')],
)
def test_the_end_of_a_drain(where: str, told: bytes) -> None:
    async def scenario() -> None:
        async with asked(where) as (running, slow):
            lifecycle = running.proxy.lifecycle
            lifecycle.ending = True
            for work in tuple(lifecycle.running):
                work.cancel()
            await until(lambda: told in slow.got)

            assert not lifecycle.running
            await asyncio.wait_for(slow.left.wait(), 1)

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("where", "patience", "code"), [("gated", 8.0, "first_token_timeout"), ("running", 4.0, "idle_timeout")]
)
def test_an_upstream_that_falls_silent(where: str, patience: float, code: str) -> None:
    """It is given up after its time, to the moment, and the next one goes on."""

    async def scenario() -> None:
        async with asked(where) as (running, slow):
            start = asyncio.get_running_loop().time()
            await until(slow.left.is_set)
            took = asyncio.get_running_loop().time() - start
            assert patience - 0.5 < took < patience + 0.1
            await until(lambda: running.records)

            outcomes = [each.outcome for each in running.records[0].attempts]
            assert ([code, "ok"], 1) == (outcomes, running.received("backup"))
            assert slow.got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")

    run_virtual(scenario())


@WHERES
@pytest.mark.parametrize("clean", [True, False])
def test_an_upstream_that_ends(where: str, *, clean: bool) -> None:
    async def scenario() -> None:
        async with asked(where) as (running, slow):
            if clean:
                slow.way.close()
            else:
                slow.way.transport.abort()
            await until(lambda: running.records)

            outcomes = [each.outcome for each in running.records[0].attempts]
            assert (["cut", "ok"], 1) == (outcomes, running.received("backup"))
            assert slow.got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")

    run_virtual(scenario())


LAST = [TAIL, chunk(CONTENT, '"stop"') + b"e\r\ndata: [DONE]\n\n\r\n"]


@pytest.mark.parametrize("last", LAST)
def test_a_client_that_leaves_in_the_moment_of_the_last_piece_leaves_nothing_to_the_collector(last: bytes) -> None:
    """Its end is not heard yet when the piece comes, and writing to it fails."""

    async def scenario() -> list[object]:
        slow = Slow()
        async with serving(slow.answer) as address, fleet(ROUTES.format(address=address)) as running:
            on = Connected(running)
            on.lane.data_received(head(len(BODY)) + BODY)
            await slow.says(*SOON["running"])
            gc.collect()
            gc.disable()
            on.wire.done.append("abort")
            await slow.says(last)
            await until(lambda: running.records)

            record = running.records[0]
            assert ("client_left", ["cancelled"]) == (record.outcome, [each.outcome for each in record.attempts])
            on.lane.connection_lost(None)
            return [each for each in gc.get_objects() if isinstance(each, Relay)]

    try:
        assert [] == run_virtual(scenario())
    finally:
        gc.enable()


def test_the_end_of_a_drain_in_the_moment_before_it_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The race of a hedged stream is over, and whoever waited for that has not had its turn yet."""
    goes_on = Strand._done

    async def scenario() -> None:
        slow = Slow()
        async with serving(slow.answer) as address, fleet(ROUTES.format(address=address)) as running:
            lifecycle = running.proxy.lifecycle

            def end_first(strand: Strand, future: asyncio.Future[object]) -> None:
                if slow.asked.is_set():
                    lifecycle.ending = True
                    for work in tuple(lifecycle.running):
                        work.cancel()
                goes_on(strand, future)

            monkeypatch.setattr(Strand, "_done", end_first)
            await slow.ask(running, BODY.replace(b"chat", b"hedged"))
            await slow.says(*SOON["running"])

            assert (True, 0) == (b'"code":"shutting_down"' in slow.got, len(lifecycle.running))
            await asyncio.wait_for(slow.left.wait(), 1)
            await slow.leave()

    run_virtual(scenario())


def test_a_client_that_is_late_to_take_its_stream_leaves_nothing_to_the_collector() -> None:
    async def scenario() -> list[object]:
        slow = Slow()
        async with serving(slow.answer) as address, fleet(ROUTES.format(address=address)) as running:
            on = Connected(running)
            on.lane.data_received(head(len(BODY)) + BODY)
            await slow.says(*SOON["running"])
            gc.collect()
            gc.disable()
            on.lane.pause_writing()
            await slow.says(chunk(CONTENT))
            await until(lambda: running.records, 61.0)

            assert "client_left" == running.records[0].outcome
            on.lane.connection_lost(None)
            return [each for each in gc.get_objects() if isinstance(each, Relay)]

    try:
        assert [] == run_virtual(scenario())
    finally:
        gc.enable()


@WHERES
def test_the_end_of_a_drain_leaves_nothing_to_the_collector(where: str) -> None:
    async def scenario() -> list[object]:
        slow = Slow()
        async with serving(slow.answer) as address, fleet(ROUTES.format(address=address)) as running:
            on = Connected(running)
            on.lane.data_received(head(len(BODY)) + BODY)
            await slow.says(*SOON[where])
            gc.collect()
            gc.disable()
            running.proxy.lifecycle.ending = True
            for work in tuple(running.proxy.lifecycle.running):
                work.cancel()
            await until(lambda: running.records)
            on.lane.connection_lost(None)
            return [each for each in gc.get_objects() if isinstance(each, Relay)]

    try:
        assert [] == run_virtual(scenario())
    finally:
        gc.enable()
