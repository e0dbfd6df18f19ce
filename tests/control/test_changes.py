"""The control plane's changes, over a whole proxy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.control.command import ACTIONS
from proxy.core.event import BreakerChanged, Controlled
from proxy.core.names import DeploymentId
from tests.support.fleet import Fleet, Seen, fleet, until
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
  third: {kind: simulated}
  keyless: {kind: openai, api_key: "${NO_SUCH_KEY}"}
defaults: {deadline: 60s, health: {probe: never}}
routes:
  chat: {chain: [primary/m, backup/m, keyless/gpt]}
  drawn: {strategy: weighted, chain: [{to: primary/m, weight: 3}, {to: backup/m, weight: 1}]}
  odd: {chain: ["third/qwen2.5-coder:32b", third/org/name, third/m/open, third/m]}
  "any-*": {chain: ["third/*"]}
"""
PRIMARY, BACKUP = DeploymentId("primary", "m"), DeploymentId("backup", "m")


async def change(running: Fleet, path: str, body: Any = None, **arguments: Any) -> Seen:
    arguments = {"json": body, **arguments} if body is not None else arguments
    return await running.request("POST", f"/admin/v1/{path}", **arguments)


async def changed(running: Fleet, path: str, body: Any = None) -> Any:
    seen = await change(running, path, body)
    assert 200 == seen.status, seen.body
    return seen.json


async def served_by(running: Fleet) -> str:
    return (await running.chat(stream=False)).headers.get("x-holdfast-upstream", "nobody")


def test_an_opened_breaker_keeps_requests_away_until_its_time_is_over() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            reply = await changed(running, "deployments/primary/m/open", {"reason": "maintenance", "for": "10m"})

            assert ("primary/m", "unavailable") == (reply["deployment"]["deployment"], reply["deployment"]["status"])
            assert ["Controlled", "BreakerChanged"] == [event["event"] for event in reply["changed"]]
            assert ("open", "maintenance", 600.0) == tuple(
                reply["changed"][0][name] for name in ("action", "reason", "duration")
            )
            assert [Controlled(PRIMARY, "open", "maintenance", 600.0)] == [
                event for event in running.told if isinstance(event, Controlled)
            ]
            assert "backup" == await served_by(running)
            await asyncio.sleep(590)
            assert "backup" == await served_by(running)
            await asyncio.sleep(11)
            assert "primary" == await served_by(running)

    run_virtual(scenario())


def test_a_breaker_that_is_closed_by_hand_stays_closed_for_the_time() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await changed(running, "deployments/primary/m/open")
            reply = await changed(running, "deployments/primary/m/close", {"for": 60})
            assert "closed" == reply["deployment"]["breakers"][0]["state"]

            await running.simulator.inject("primary", "500")
            for _ in range(10):
                await running.chat(stream=False)
            assert not [e for e in running.told if isinstance(e, BreakerChanged) and e.cause != "operator"]

    run_virtual(scenario())


@pytest.mark.parametrize("action", ["drain", "disable"])
def test_no_new_requests_until_enabled(action: str) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            reply = await changed(running, f"deployments/primary/m/{action}")
            assert (action, None) == (reply["deployment"]["order"], reply["deployment"]["order_remaining_s"])
            assert "backup" == await served_by(running)
            reply = await changed(running, "deployments/primary/m/enable", {"reason": "done"})
            assert (None, "available") == (reply["deployment"]["order"], reply["deployment"]["status"])
            assert "primary" == await served_by(running)

    run_virtual(scenario())


def test_an_order_reverts_and_the_audit_says_so() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await changed(running, "deployments/primary/m/drain", {"for": "30s"})
            await until(lambda: any(isinstance(e, Controlled) and e.action == "revert" for e in running.told))
            audit = (await running.request("GET", "/admin/v1/audit")).json["audit"]

            assert ["revert", "drain"] == [entry["action"] for entry in audit]
            assert audit[0]["at"] >= audit[1]["at"] > 1e9

    run_virtual(scenario())


def test_reset_forgets_one_or_all() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for name in ("primary", "backup"):
                await changed(running, f"deployments/{name}/m/open")
            reply = await changed(running, "deployments/primary/m/reset")
            assert ["Controlled", "BreakerChanged"] == [event["event"] for event in reply["changed"]]
            assert "primary" == await served_by(running)
            await changed(running, "deployments/primary/m/drain")
            reply = await changed(running, "breakers/reset", {"reason": "all well"})
            assert (None, "all well") == tuple(reply["changed"][0][name] for name in ("deployment", "reason"))
            states = {each["deployment"]: each["status"] for each in reply["deployments"]}
            assert ("available", "available") == (states["primary/m"], states["backup/m"])

    run_virtual(scenario())


def test_a_weight_moves_traffic_and_is_taken_back() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            reply = await changed(running, "deployments/primary/m/weight", {"value": 0, "for": "1h"})
            assert 0.0 == reply["deployment"]["weight"]
            for _ in range(12):
                await running.chat("drawn", stream=False)
            assert (0, 12) == (running.received("primary"), running.received("backup"))
            reply = await changed(running, "deployments/primary/m/weight", {"value": None})
            assert reply["deployment"]["weight"] is None

    run_virtual(scenario())


def test_a_weight_that_would_change_nothing() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            seen = await change(running, "deployments/third/m/weight", {"value": 2})
            assert (409, "conflict") == (seen.status, seen.error["code"])
            assert "No weighted route names third/m" in seen.error["message"]

    run_virtual(scenario())


def test_a_probe_tells_what_came_of_it() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            good = await changed(running, "deployments/primary/m/probe")
            assert ("ok", "", "available") == (good["outcome"], good["message"], good["deployment"]["status"])
            assert 0 < good["duration_s"] < 1
            await running.simulator.inject("primary", "500")
            bad = await changed(running, "deployments/primary/m/probe", {"reason": "is it back?"})
            assert "http_500" == bad["outcome"]
            assert bad["message"]
            assert "degraded" == bad["deployment"]["status"]
            assert ["probe", "probe"] == [e.action for e in running.told if isinstance(e, Controlled)]

    run_virtual(scenario())


@pytest.mark.parametrize("action", ["open", "disable"])
def test_a_probe_that_an_operator_forbids(action: str) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await changed(running, f"deployments/primary/m/{action}")
            seen = await change(running, "deployments/primary/m/probe")
            assert (409, "conflict", 0) == (seen.status, seen.error["code"], running.received("primary"))
            assert "by an operator" in seen.error["message"]

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("third/qwen2.5-coder:32b", "third/qwen2.5-coder:32b"),
        ("third/qwen2.5-coder%3A32b", "third/qwen2.5-coder:32b"),
        ("third/org/name", "third/org/name"),
        ("third/org%2Fname", "third/org/name"),
        ("third/m/open", "third/m/open"),
        ("third/m%2Fopen", "third/m/open"),
        ("third/m", "third/m"),
    ],
)
def test_odd_names(path: str, name: str) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for action in ("open", "close", "drain"):
                reply = await changed(running, f"deployments/{path}/{action}")
                assert (name, name) == (reply["deployment"]["deployment"], reply["changed"][0]["deployment"])
            assert name == (await running.request("GET", f"/admin/v1/deployments/{path}")).json["deployment"]

    run_virtual(scenario())


def test_a_deployment_that_traffic_has_made() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            assert 404 == (await change(running, "deployments/third/any-model/drain")).status
            await running.chat("any-model", stream=False)
            await changed(running, "deployments/third/any-model/drain")
            assert 503 == (await running.chat("any-model", stream=False)).status
            steps = {route["route"]: route["steps"] for route in await _routes(running)}
            assert [("third/any-model", "unavailable")] == [(s["deployment"], s["status"]) for s in steps["any-*"]][:1]

    run_virtual(scenario())


async def _routes(running: Fleet) -> list[Any]:
    routes: list[Any] = (await running.request("GET", "/admin/v1/status")).json["routes"]
    return routes


def test_whom_nobody_knows() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            before = len(running.proxy.pool.deployments())
            seen = await change(running, "deployments/primry/m/open")
            assert (404, "deployment_not_found") == (seen.status, seen.error["code"])
            assert "Did you mean 'primary/m'?" in seen.error["message"]
            seen = await change(running, f"deployments/{'x' * 3000}/m/open")
            assert (404, True) == (seen.status, len(seen.body) < 1000)
            assert before == len(running.proxy.pool.deployments())
            seen = await change(running, "deployments/keyless/gpt/open")
            assert (409, True) == (seen.status, "NO_SUCH_KEY is not set" in seen.error["message"])

    run_virtual(scenario())


def test_an_unknown_action_names_the_nearest() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            seen = await change(running, "deployments/primary/m/opne")
            assert (404, True) == (seen.status, "did you mean 'open'?" in seen.error["message"])

    run_virtual(scenario())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_change_is_never_made_by_another_method(method: str) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for action in ACTIONS:
                seen = await running.request(method, f"/admin/v1/deployments/primary/m/{action}")
                assert 405 == seen.status
                assert "POST" in seen.headers["allow"]
                assert method == "HEAD" or "method_not_allowed" == seen.error["code"]
            assert 405 == (await running.request(method, "/admin/v1/breakers/reset")).status
            assert not [e for e in running.told if isinstance(e, Controlled)]

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"headers": {"Origin": "http://evil.example"}}, 403),
        ({"headers": {"Origin": "null"}}, 403),
        ({"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ({"headers": {"Host": "rebound.example"}}, 403),
        ({"data": b'{"reason": "x"}', "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": b'{"reason": "x"}'}, 415),
        ({"data": {"reason": "x"}}, 415),
        ({"data": b"", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415),
        ({"data": b'{"reason": "' + b"x" * 100_000 + b'"}', "headers": {"Content-Type": "application/json"}}, 413),
        ({"data": b'{"reason": "' + b"x" * 60_000 + b'"}', "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"[" * 60_000, "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b'{"for": NaN}', "headers": {"Content-Type": "application/json"}}, 400),
        ({"json": {"for": "10 parsecs"}}, 400),
        ({"json": [1]}, 400),
    ],
)
def test_what_is_refused_changes_nothing(arguments: dict[str, Any], status: int) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for path in ("deployments/primary/m/open", "breakers/reset"):
                seen = await change(running, path, **arguments)
                assert (status, True) == (seen.status, bool(seen.error["message"]))
            assert not [e for e in running.told if isinstance(e, Controlled)]
            assert "primary" == await served_by(running)

    run_virtual(scenario())


def test_a_body_without_a_length_is_bounded_too() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 4096

    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            headers = {"Content-Type": "application/json"}
            seen = await change(running, "deployments/primary/m/open", data=pieces(), headers=headers)
            assert (413, "request_too_large") == (seen.status, seen.error["code"])

    run_virtual(scenario())


def test_a_page_of_ours_may() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            headers = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
            assert 200 == (await change(running, "deployments/primary/m/drain", {}, headers=headers)).status

    run_virtual(scenario())


def test_the_key_is_wanted_where_there_is_one() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES + "admin: {key: a-literal-admin-key}\n") as running:
            for path in ("deployments/primary/m/open", "breakers/reset"):
                assert 401 == (await change(running, path)).status
                headers = {"Authorization": "Bearer a-literal-admin-key"}
                assert 200 == (await change(running, path, headers=headers)).status
                # The key alone does not make another page ours.
                assert 403 == (await change(running, path, headers={**headers, "Origin": "http://x.example"})).status
            assert 401 == (await running.request("GET", "/admin/v1/audit")).status

    run_virtual(scenario())


def test_the_audit_is_bounded_and_survives_traffic() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await changed(running, "deployments/primary/m/drain", {"reason": "first"})
            for number in range(1100):
                await changed(running, "deployments/backup/m/enable", {"reason": str(number)})
            audit = (await running.request("GET", "/admin/v1/audit")).json["audit"]
            assert (1000, "1099", "100") == (len(audit), audit[0]["reason"], audit[-1]["reason"])

    run_virtual(scenario())
