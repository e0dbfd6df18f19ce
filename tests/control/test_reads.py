"""The control plane's reads, seen by clients that are not ours."""

import asyncio
from typing import Any

import pytest

from proxy.control.context import Control
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
            chat = next(route for route in status["routes"] if route["route"] == "chat")
            assert ["primary/m", "backup/m"] == [step["deployment"] for step in chat["steps"]]
            assert ("sequential", "degraded", 0.5) == (chat["strategy"], chat["status"], chat["capacity"])
            alone = next(route for route in status["routes"] if route["route"] == "alone")
            assert ("unavailable", 0.0) == (alone["status"], alone["capacity"])
            assert (0, False, {"path": None, "trouble": None}, 1.0) == tuple(
                status[name] for name in ("in_flight", "draining", "state", "retry_budget_remaining")
            )
            assert {"primary", "backup", "third"} == set(status["upstream_budgets_remaining"])
            assert ["primary/m", "backup/m", "third/m"] == [each["deployment"] for each in listed]
            assert ("unavailable", "credential", 0, 1) == tuple(
                one[name] for name in ("status", "rest_reason", "succeeded", "failed")
            )
            assert 299 < one["rest_remaining_s"] <= 300

    run_virtual(scenario())


def test_breakers_tell_which_routes_go_by_them() -> None:
    routes = ROUTES.replace("alone: {", "alone: {breaker: {consecutive: 1}, ")

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "503")
            await running.chat("alone")
            one = (await running.request("GET", "/admin/v1/deployments/primary/m")).json
            listed = (await running.request("GET", "/admin/v1/deployments")).json["deployments"]
            status = (await running.request("GET", "/admin/v1/status")).json

            assert [(["chat", "three"], "closed"), (["alone"], "open")] == [
                (breaker["routes"], breaker["state"]) for breaker in one["breakers"]
            ]
            assert [["chat", "three"]] == [breaker["routes"] for breaker in listed[1]["breakers"]]
            alone = next(route for route in status["routes"] if route["route"] == "alone")
            assert [["chat", "three"], ["alone"]] == [each["routes"] for each in alone["steps"][0]["breakers"]]

    run_virtual(scenario())


def test_trouble_with_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_trouble(*given: Any, **named: Any) -> Control:
        return Control(*given, **{**named, "state_trouble": lambda: "its disk is full"})

    async def scenario() -> None:
        monkeypatch.setattr("proxy.app.Control", in_trouble)
        async with fleet() as running:
            status = (await running.request("GET", "/admin/v1/status")).json
            assert {"path": None, "trouble": "its disk is full"} == status["state"]

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


def test_a_status_while_requests_are_under_way() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "hang")
            asking = asyncio.create_task(running.chat())
            await until(lambda: running.received("primary"))
            status = (await running.request("GET", "/admin/v1/status")).json
            assert 1 == status["in_flight"]
            await asking

    run_virtual(scenario())


def test_an_unknown_deployment_names_the_nearest() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            seen = await running.request("GET", "/admin/v1/deployments/primry/m")
            assert (404, True) == (seen.status, "Did you mean 'primary/m'?" in seen.error["message"])

    run_virtual(scenario())
