"""Failing over without the engine, against the engine: what is seen of it is the same, as in test_fast_path.py."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.names import DeploymentId
from proxy.pool.deployment import Order
from proxy.server.flight import Flight
from tests.server.test_fast_path import SURE, asking, both_ways
from tests.support.doors import Heard, left, talk
from tests.support.fleet import Fleet, fleet
from tests.support.virtual_time import run_virtual

CHAINS = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
  third: {kind: simulated, retry: {attempts: 1}}
defaults:
  deadline: 20s
  timeout: {connect: 1s, first_token: 3s, answer: 4s, idle: 2s}
  retry: {attempts: ATTEMPTS, backoff: {initial: 100ms}}
  breaker: {consecutive: CONSECUTIVE, error_rate: 100%}
  foresight: {trend: false}
  outlier: {max_ejected: 0}
routes:
  chat: {chain: [primary/m, backup/m, third/m]}
  again: {chain: [primary/m, backup/m, primary/n, primary/m]}
  spoken: {chain: [primary/m, backup/m], last_resort: {text: "later"}}
  short: {chain: [primary/m, backup/m], deadline: 2s}
  less: {chain: [primary/m, {to: backup/m, quality: 0.5}]}
"""
ROUTES = ("chat", "again", "spoken", "short", "less")
WARM = [None, None, None]
Faults = Sequence[str | None]
"""Of the primary, the backup and the third."""


def routes(*, attempts: int = 1, consecutive: int = 50) -> str:
    return CHAINS.replace("ATTEMPTS", str(attempts)).replace("CONSECUTIVE", str(consecutive))


async def inject(running: Fleet, faults: Faults) -> None:
    for upstream, fault in zip(("primary", "backup", "third"), faults, strict=True):
        await running.simulator.inject(upstream, fault)


async def warm_up(running: Fleet, model: str) -> list[Heard]:
    """From here on the route's steps are known, and all three have connections that are kept."""
    for upstream in ("primary", "backup", "third"):
        await talk(running, asking(model=model), patience=10.0)
        await running.simulator.inject(upstream, "503")
    await talk(running, asking(model=model), patience=10.0)
    await inject(running, WARM)
    await asyncio.sleep(1.0)
    return [await talk(running, asking(model=model), 0.5, asking(model=model), patience=10.0)]


def steps_asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that are asked without the engine, as they are asked."""
    steps: list[int] = []
    ask = Flight._ask

    def noted(flight: Flight, step: int, *rest: Any, **more: Any) -> bool:
        steps.append(step)
        return ask(flight, step, *rest, **more)

    monkeypatch.setattr(Flight, "_ask", noted)
    return steps


def test_the_next_one_is_asked_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await warm_up(running, "chat")
            await inject(running, ["503", "503", None])
            steps = steps_asked(monkeypatch)
            monkeypatch.setattr("proxy.server.lane_turn.Turn.serve", None)
            heard = await talk(running, asking(), 0.5, asking(), patience=10.0)

            assert [200, 200] == heard.statuses
            assert [0, 1, 2, 0, 1, 2] == steps
            assert [3, 3] == [len(record.attempts) for record in running.records[-2:]]
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_one_that_refuses_connections_is_left_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await warm_up(running, "chat")
            await inject(running, ["refuse", "refuse", None])
            await asyncio.sleep(0.5)
            steps = steps_asked(monkeypatch)
            monkeypatch.setattr("proxy.server.lane_turn.Turn.serve", None)
            heard = await talk(running, asking(), 0.5, asking(), patience=10.0)

            assert [200, 200] == heard.statuses
            assert [0, 1, 2, 0, 1, 2] == steps
            assert ["connect_refused"] * 2 == [each.outcome for each in running.records[-1].attempts[:2]]
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_a_chain_of_many_that_refuse_connections_is_gone_along_to_its_end() -> None:
    refusing = ", ".join(f"closed/m{number}" for number in range(400))
    closed = 'closed: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: k}'
    many = routes().replace("upstreams:\n", f"upstreams:\n  {closed}\n")
    many = many.replace("chat: {chain: [", f"chat: {{chain: [{refusing}, ")

    async def scenario() -> None:
        async with fleet(many) as running:
            heard = await talk(running, asking(), 0.5, asking(), patience=10.0)

            assert [200, 200] == heard.statuses
            assert [401, 401] == [len(record.attempts) for record in running.records]
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_those_that_are_out_are_passed_over_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(routes(consecutive=4)) as running:
            await warm_up(running, "chat")
            await inject(running, ["503", None, None])
            await talk(running, *[asking()] * 4, patience=10.0)
            steps = steps_asked(monkeypatch)
            monkeypatch.setattr("proxy.server.lane_turn.Turn.serve", None)
            heard = await talk(running, asking(), 0.5, asking(), patience=10.0)

            assert [200, 200] == heard.statuses
            assert [1, 1] == steps
            assert ["reason=first_choice_out"] * 2 == [record.degraded for record in running.records[-2:]]
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_who_has_to_wait_before_it_asks_again_is_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(routes(attempts=2)) as running:
            await warm_up(running, "chat")
            await inject(running, ["503:times=1", None, None])
            steps = steps_asked(monkeypatch)
            heard = await talk(running, asking(), patience=10.0)

            assert [200] == heard.statuses
            assert [0] == steps
            assert ["primary", "primary"] == [each.deployment.upstream for each in running.records[-1].attempts]

    run_virtual(scenario())


# What never ends takes half a minute of work until each deadline; test_fast_path.py has it once.
@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("fault", [fault for fault in SURE if fault != "endless"])
def test_whatever_the_first_and_the_next_do(fault: str, attempts: int) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        for faults in ([fault, None, None], ["503", fault, None], [fault, fault, "503"], [fault, fault, fault]):
            await inject(running, faults)
            heard.append(await talk(running, asking(), patience=30.0))
        await inject(running, WARM)
        return [*heard, await talk(running, asking(), 0.5, asking(), patience=30.0)]

    with_it, without, _ = both_ways(scenario, routes(attempts=attempts))

    assert without == with_it


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize(
    "faults", [["refuse", None, None], ["503", "refuse", None], ["refuse", "refuse", "503"], ["refuse"] * 3]
)
def test_whoever_refuses_connections(faults: Faults, attempts: int) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        await inject(running, faults)
        await asyncio.sleep(0.5)
        heard.append(await talk(running, asking(), 1.0, asking(), patience=30.0))
        await inject(running, WARM)
        return [*heard, await talk(running, asking(), 0.5, asking(), patience=30.0)]

    with_it, without, _ = both_ways(scenario, routes(attempts=attempts))

    assert without == with_it


@pytest.mark.parametrize("idle", [29.0, 31.0])
def test_where_no_connection_is_kept_any_more(idle: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        await asyncio.sleep(idle)
        heard.append(await talk(running, asking(), 0.5, asking(), patience=30.0))
        await inject(running, ["503", None, None])
        return [*heard, await talk(running, asking(), idle, asking(), patience=80.0)]

    with_it, without, _ = both_ways(scenario, routes())

    assert without == with_it


@pytest.mark.parametrize("after", [0.001, 0.005, 0.1, 3.0])
def test_a_client_that_leaves_while_the_next_one_is_asked(after: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        await inject(running, ["503", "hang", None])
        await talk(running, asking(), patience=after)
        await inject(running, WARM)
        return [*heard, await talk(running, asking(), patience=30.0)]

    with_it, without, _ = both_ways(scenario, routes())

    assert without == with_it


@pytest.mark.parametrize("faults", [WARM, ["503", None, None], ["503", "503", None], ["503", "503", "503"]])
def test_several_at_once_where_few_are_allowed(faults: Faults) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        await inject(running, faults)
        for upstream in ("primary", "backup", "third"):
            running.simulator.upstream(upstream).voice.first_token_delay = 0.5
        asked = [asyncio.create_task(talk(running, asking(), 3.0, asking(), patience=30.0)) for _ in range(7)]
        return [*heard, *await asyncio.gather(*asked)]

    few = routes().replace("defaults:\n", "defaults:\n  max_concurrent: 2\n")
    with_it, without, _ = both_ways(scenario, few)

    assert without == with_it


@pytest.mark.parametrize("order", ["disable", "drain"])
def test_what_an_operator_has_switched_off_is_passed_over(order: Literal["disable", "drain"]) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        deployment = running.proxy.pool.deployment(DeploymentId("primary", "m"))
        deployment.order = Order(order, math.inf, None)
        heard.append(await talk(running, asking(), 0.5, asking(), patience=30.0))
        await inject(running, [None, "503", None])
        return [*heard, await talk(running, asking(), 0.5, asking(), patience=30.0)]

    with_it, without, _ = both_ways(scenario, routes())

    assert without == with_it


def test_breakers_that_open_are_passed_over() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, "chat")
        await inject(running, ["503", "500", None])
        for _ in range(6):
            heard.append(await talk(running, asking(), 1.0, asking(), patience=30.0))
        await inject(running, WARM)
        await asyncio.sleep(30.0)
        return [*heard, await talk(running, asking(), 0.5, asking(), patience=30.0)]

    with_it, without, _ = both_ways(scenario, routes(consecutive=3))

    assert without == with_it


def test_a_mistake_of_ours_costs_one_answer_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await warm_up(running, "chat")
            await inject(running, ["503", None, None])
            with monkeypatch.context() as patched:
                patched.setattr("proxy.server.flight.next_move", lambda *_: 1 / 0)
                heard = await talk(running, asking(), patience=10.0)
            again = await talk(running, asking(), patience=10.0)

            assert [500] == heard.statuses
            assert [200] == again.statuses
            assert (0, 0) == left(running)
            assert ["internal_error", "ok"] == [record.outcome for record in running.records[-2:]]

    run_virtual(scenario())


TIMED = [fault for fault in SURE if fault not in {"hang", "endless", "pings", "empty_deltas"}]


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(ROUTES),
    st.lists(st.tuples(*[st.sampled_from([None, "503", *TIMED])] * 3), min_size=1, max_size=4),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([2, 50]),
)
def test_any_row_of_faults(model: str, rows: list[Faults], attempts: int, consecutive: int) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, model)
        for faults in rows:
            await inject(running, faults)
            heard.append(await talk(running, asking(model=model), patience=30.0))
        return heard

    with_it, without, _ = both_ways(scenario, routes(attempts=attempts, consecutive=consecutive))

    assert without == with_it
