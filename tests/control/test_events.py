"""The event stream, seen by clients that are not ours; and its contract, byte by byte."""

import asyncio
import json
import re
from typing import get_args

import aiohttp
from aiohttp_sse_client.client import EventSource

from proxy.control.events import TYPES, _line
from proxy.core.event import AttemptEnded, Controlled, Happening, RequestEnded
from proxy.core.names import DeploymentId
from proxy.telemetry.feed import Told
from tests.support.fleet import Fleet, fleet, until
from tests.support.virtual_time import run_virtual


async def test_events_by_a_third_party_client() -> None:
    """In real time: the client library sleeps on its own terms."""
    async with fleet() as running, aiohttp.ClientSession() as session:
        await running.simulator.inject("primary", "empty")
        url = f"{running.url}/admin/v1/events"
        names: list[str] = []
        last = ""
        async with EventSource(url, session=session, timeout=None) as source:
            await running.chat(stream=False)
            async for event in source:
                names.append(event.type)
                last = event.last_event_id
                if event.type == "RequestEnded":
                    assert "chat" == json.loads(event.data)["route"]
                    break

        assert ["AttemptEnded", "FailedOver", "AttemptEnded", "Degraded", "RequestEnded"] == names
        await running.chat(stream=False)
        # Who comes back says what it has seen, and gets what it missed.
        headers = {"Last-Event-ID": last}
        async with EventSource(url, session=session, headers=headers, timeout=None) as source:
            async for event in source:
                assert str(int(last) + 1) == event.last_event_id
                break


def test_a_follower_that_leaves_is_forgotten_and_a_quiet_one_is_pinged() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            received = b""
            async with running.session.get(f"{running.url}/admin/v1/events") as response:
                while b": ping" not in received:
                    received += await response.content.readany()
            assert received.startswith(b"retry: 1000\nid: ")
            await until(lambda: len(asyncio.all_tasks()) < 8)

    run_virtual(scenario())


async def received(running: Fleet, query: str = "", until_: bytes = b": ping", **headers: str) -> bytes:
    """The bytes of the stream, until something is among them."""
    data = b""
    async with running.session.get(f"{running.url}/admin/v1/events{query}", headers=headers) as response:
        assert 200 == response.status
        while until_ not in data:
            data += await response.content.readany()
    return data


def ids(data: bytes) -> list[int]:
    """The ids of whole events."""
    return [int(found) for found in re.findall(rb"id: (\d+)\nevent: ", data)]


def test_every_event_has_an_id_one_line_of_json_and_lf_only() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "empty")
            await running.chat(stream=False)
            data = await received(running, **{"Last-Event-ID": "0"})
            assert b"\r" not in data
            blocks = [block for block in data.split(b"\n\n") if b"data:" in block]
            assert len(blocks) >= 4
            for block in blocks:
                assert re.fullmatch(rb"id: \d+\nevent: [A-Za-z]+\ndata: \{[^\n]*\}", block), block

    run_virtual(scenario())


def test_who_comes_back_gets_what_it_missed_and_no_more() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.chat(stream=False)
            everything = ids(await received(running, **{"Last-Event-ID": "0"}))
            assert list(range(1, len(everything) + 1)) == everything
            assert everything[1:] == ids(await received(running, **{"Last-Event-ID": "1"}))
            # New followers begin with what happens from now on, and are told where that is.
            fresh = await received(running)
            assert [] == ids(fresh)
            assert fresh.startswith(b"retry: 1000\nid: %d\n\n" % everything[-1])
            # Numbers of another process, and nonsense.
            assert everything == ids(await received(running, **{"Last-Event-ID": "999999"}))
            for nonsense in ("x", "-1", "9" * 5000, "1.5", "\u0663"):
                assert [] == ids(await received(running, **{"Last-Event-ID": nonsense}))

    run_virtual(scenario())


def test_a_quiet_follower_is_pinged_every_15_seconds() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            clock = asyncio.get_running_loop().time
            started = clock()
            await received(running)
            assert 15 <= clock() - started < 15.2

    run_virtual(scenario())


def test_only_the_kinds_that_are_wanted() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "empty")
            await running.chat(stream=False)
            data = await received(running, "?types=RequestEnded,FailedOver", **{"Last-Event-ID": "0"})
            assert [b"FailedOver", b"RequestEnded"] == re.findall(rb"event: (\w+)", data)
            # The ping tells how far it is, so that coming back costs nothing.
            last = (await running.request("GET", "/admin/v1/status")).json["last_event"]
            assert b": ping\nid: %d\n\n" % last in data
            seen = await running.request("GET", "/admin/v1/events?types=BreakerChangd")
            assert (400, True) == (seen.status, "did you mean 'BreakerChanged'?" in seen.error["message"])

    run_virtual(scenario())


def test_every_kind_of_event_can_be_wanted() -> None:
    assert {event.__name__ for event in get_args(Happening)} == set(TYPES)


def test_an_event_is_below_64_kb() -> None:
    attempts = tuple(AttemptEnded(DeploymentId("u", "m" * 200), "http_503", 0.1, 503) for _ in range(1000))
    event = RequestEnded("id", "r", "m", stream=True, attempts=attempts)
    line = _line(Told(1, "RequestEnded", 1.0, event))
    assert len(line) < 65_536
    assert {"event": "RequestEnded", "route": "r", "cut": True}.items() <= json.loads(line).items()
    long = Controlled(None, "open", "x" * 100_000)
    assert len(_line(Told(1, "Controlled", 1.0, long))) < 65_536
