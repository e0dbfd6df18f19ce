"""The control plane's reads, seen by clients that are not ours."""

import asyncio
import json

import aiohttp
from aiohttp_sse_client.client import EventSource

from tests.support.fleet import ROUTES, fleet, until
from tests.support.virtual_time import run_virtual


def test_status_and_deployments() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "unauthorized")
            await running.chat()
            status = (await running.request("GET", "/admin/v1/status")).json
            listed = (await running.request("GET", "/admin/v1/deployments")).json["deployments"]
            one = (await running.request("GET", "/admin/v1/deployments/primary/m")).json

            assert running.simulator.control_url == status["simulator"]
            assert ["primary/m", "backup/m"] == status["routes"]["chat"]
            assert ["primary/m", "backup/m", "third/m"] == [each["deployment"] for each in listed]
            assert ("resting", "credential", 0, 1) == tuple(
                one[name] for name in ("status", "rest_reason", "succeeded", "failed")
            )
            assert 299 < one["rest_remaining_s"] <= 300

    run_virtual(scenario())


def test_configuration_is_shown_without_secrets() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES + "admin: {key: a-literal-admin-key}\n") as running:
            operator = {"Authorization": "Bearer a-literal-admin-key"}
            seen = await running.request("GET", "/admin/v1/config", headers=operator)

            assert "a-literal-admin-key" not in seen.body.decode()
            assert 401 == (await running.request("GET", "/admin/v1/config")).status

    run_virtual(scenario())


def test_another_page_in_the_operators_browser_gets_nothing() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            seen = await running.request("GET", "/admin/v1/status", headers={"Host": "rebound.example"})

            assert (403, "forbidden") == (seen.status, seen.error["code"])

    run_virtual(scenario())


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

        assert ["AttemptEnded", "FailedOver", "AttemptEnded", "RequestEnded"] == names
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
            assert received.startswith(b"retry: 1000\n\n")
            await until(lambda: len(asyncio.all_tasks()) < 8)

    run_virtual(scenario())
