import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from proxy.cli import watching
from proxy.cli.watching import Follower
from tests.cli.conftest import Process, free_port, one_line
from tests.support.fleet import Fleet, fleet, until

Serve = Callable[[web.StreamResponse, web.Request], Awaitable[None]]


def test_a_line_per_event_until_ctrl_c(cli, running, start: Callable[..., Process]) -> None:
    watcher = start("watch", "--url", running.fleet.url)
    watch_is_there(running, watcher)
    cli("breaker", "open", "primary", "--for", "10m", "--reason", "new disk", "--url", running.fleet.url)
    watcher.wait_for(
        r"\n\d\d:\d\d:\d\d  Controlled         primary/m  breaker opened by an operator for 10 min \(new disk\)\n"
    )
    watcher.wait_for(r"BreakerChanged     primary/m  breaker opened for 10 min: by an operator\n")
    watcher.send(signal.SIGINT)
    assert 0 == watcher.end()
    assert "Traceback" not in watcher.output


def test_only_some_kinds_as_json(cli, running, start: Callable[..., Process]) -> None:
    watcher = start("watch", "--json", "--types", "controlled, Degraded", "--url", running.fleet.url)
    watch_is_there(running, watcher)
    cli("ask", "hi", "--model", "chat", "--url", running.fleet.url)
    cli("drain", "primary", "--url", running.fleet.url)
    watcher.wait_for(r'"drain"')
    watcher.send(signal.SIGTERM)
    assert 0 == watcher.end()
    events = [json.loads(line) for line in watcher.output.splitlines()]
    assert {"Controlled"} == {event["event"] for event in events}


def watch_is_there(running, watcher: Process) -> None:
    """Give a watcher something to tell until it does, so that it is known to follow."""
    for _ in range(200):
        asyncio.run_coroutine_threadsafe(_nudge(running.fleet), running.loop).result(5)
        if "Controlled" in watcher.output:
            return
        time.sleep(0.05)
    raise AssertionError(watcher.output)


async def _nudge(made: Fleet) -> None:
    await made.request("POST", "/admin/v1/deployments/backup/m/enable")


@pytest.mark.parametrize("words", [["--types", "BreakerChangd"], ["--types", "Rested,BreakerChangd"]])
def test_an_unknown_kind(cli, words: list[str]) -> None:
    assert "no event is named 'BreakerChangd'; did you mean 'BreakerChanged'?" in one_line(cli("watch", *words), 2)
    assert "there are AttemptEnded, " in one_line(cli("watch", "--types", "zzz"), 2)


def test_nobody_listens(cli) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = f"holdfast: nobody listens at {url}; start it with: holdfast serve, or say where it is with --url"
    assert said == one_line(cli("watch", "--url", url), 1)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>", 200, "does not answer as Holdfast does"),
        (b"{}", 200, "does not answer as Holdfast does"),
        (b"[]", 404, "does not answer as Holdfast does"),
        (b'{"error": {"message": "Send the key."}}', 401, "holdfast: Send the key; here: --key or HOLDFAST_ADMIN_KEY"),
        (b'{"error": {"message": "Not from there."}}', 403, "holdfast: Not from there"),
    ],
)
def test_what_cannot_be_followed(cli, answering, body: bytes, status: int, said: str) -> None:
    assert said in one_line(cli("watch", "--url", answering(body, status=status).url), 1)


class Stream:
    """A control plane whose stream ends as a test wants it: one entry of `script` per connection."""

    def __init__(self, *script: Serve) -> None:
        self.script = list(script)
        self.asked: list[tuple[str | None, str | None]] = []
        self.started_at = 1.0
        self.url = ""

    async def status(self, _request: web.Request) -> web.Response:
        return web.json_response({"last_event": 4, "started_at": self.started_at})

    async def events(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.headers.get("Last-Event-ID"), request.headers.get("Authorization")))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await self.script.pop(0)(response, request)
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Stream"]:
        app = web.Application()
        app.add_routes([web.get("/admin/v1/status", self.status), web.get("/admin/v1/events", self.events)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def event(number: int) -> bytes:
    return b'id: %d\nevent: Shed\ndata: {"n": %d}\n\n' % (number, number)


def sends(*pieces: bytes, then: str = "end") -> Serve:
    async def serve(response: web.StreamResponse, request: web.Request) -> None:
        for piece in pieces:
            await response.write(piece)
        if then == "break":
            await asyncio.sleep(0.02)
            assert request.transport is not None
            request.transport.abort()
        elif then == "hang":
            await asyncio.sleep(60)

    return serve


async def followed(stream: Stream, count: int, types: tuple[str, ...] = ()) -> list[int]:
    """The numbers of the first `count` events that a follower tells."""
    told: list[int] = []
    async with asyncio.timeout(10):
        events = Follower(stream.url, "secret", types).events()
        async for data in events:
            told.append(json.loads(data)["n"])
            if len(told) == count:
                break
        await events.aclose()
    return told


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE_S", 0.01)


@pytest.mark.parametrize("then", ["end", "break"])
async def test_nothing_is_lost_or_told_twice_when_the_connection_ends(then: str, at_once: None) -> None:
    half = b'id: 6\nevent: Shed\ndata: {"n": '
    script = [sends(event(5), half, then=then), sends(then=then), sends(event(6), event(7), then="hang")]
    async with Stream(*script).serving() as stream:
        assert [5, 6, 7] == await followed(stream, 3)
        assert [("4", "Bearer secret"), ("5", "Bearer secret"), ("5", "Bearer secret")] == stream.asked


async def test_a_proxy_that_was_restarted_tells_all_it_remembers(at_once: None, capsys) -> None:
    async with Stream(sends(event(5)), sends(event(1), event(2), then="hang")).serving() as stream:

        async def restart(response: web.StreamResponse, request: web.Request) -> None:
            await sends(event(5))(response, request)
            stream.started_at = 2.0

        stream.script[0] = restart
        assert [5, 1, 2] == await followed(stream, 3)
        assert "0" == stream.asked[1][0]
    said = capsys.readouterr().err.splitlines()
    assert ["the connection is lost; trying again until Ctrl-C", "the proxy was restarted; this is all it remembers",
            "connected again"] == [line.removeprefix("holdfast: ") for line in said]  # fmt: skip


async def test_a_gap_is_told(at_once: None, capsys) -> None:
    async with Stream(sends(event(9), event(10), then="hang")).serving() as stream:
        assert [9, 10] == await followed(stream, 2)
    assert "holdfast: 4 events were missed: the proxy keeps the last 1000\n" == capsys.readouterr().err
    async with Stream(sends(event(9), then="hang")).serving() as stream:
        assert [9] == await followed(stream, 1, ("Shed",))
    assert "" == capsys.readouterr().err


async def test_silence_is_a_lost_connection(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_SILENCE_S", 0.05)
    async with Stream(sends(event(5), then="hang"), sends(event(6), then="hang")).serving() as stream:
        assert [5, 6] == await followed(stream, 2)


async def test_over_a_real_proxy_that_drops_the_connection(at_once: None) -> None:
    async with fleet() as running:
        follower = Follower(running.url, None, ("RequestEnded",))
        events = follower.events()
        first = asyncio.ensure_future(anext(events))
        await until(lambda: follower._last is not None)
        await running.chat(stream=False)
        assert "RequestEnded" == json.loads(await first)["event"]
        for _ in range(3):
            await running.chat(stream=False)
        numbers = [json.loads(await anext(events))["event"] for _ in range(3)]
        assert ["RequestEnded"] * 3 == numbers
        await events.aclose()
    assert re.fullmatch(r"\d+", follower._last or "")
