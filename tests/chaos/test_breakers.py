"""Breakers, ramps and probes over real sockets: what fails is left alone, asked whether it is well, and given back."""

import asyncio
import re

from proxy.core.event import BreakerChanged, ProbeEnded, RampStarted, Recovered
from proxy.core.names import DeploymentId
from tests.support.fleet import Fleet, fleet, until
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults:
  deadline: 60s
  timeout: {connect: 1s, first_token: 8s, idle: 4s}
  retry: {attempts: 1}
  breaker: {consecutive: 3, open_for: 10s, max_open_for: 40s, probes: 1, close_after: 2}
  health: {probe: PROBE, interval: 30s, timeout: 5s}
  recovery: {ramp: 10s, stable: 20s}
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
"""
PRIMARY = DeploymentId("primary", "m")


def routes(probe: str = "never") -> str:
    return ROUTES.replace("PROBE", probe)


async def status(running: Fleet) -> dict[str, object]:
    route = (await running.request("GET", "/health")).json["routes"][0]
    shown: dict[str, object] = route["deployments"][0]
    return shown


def changes(running: Fleet) -> list[tuple[str, str]]:
    return [(event.target, event.cause) for event in running.told if isinstance(event, BreakerChanged)]


def test_clients_see_nothing_and_the_broken_one_is_left_alone() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await running.simulator.inject("primary", "503")
            seen = [await running.chat(stream=number % 2 == 0) for number in range(6)]

            assert {200} == {each.status for each in seen}
            assert 3 == running.received("primary")
            assert "primary/m has an open breaker" == seen[-1].headers["x-holdfast-reason"]
            assert "reason=first_choice_out" == seen[-1].headers["x-holdfast-degraded"]
            shown = await status(running)
            assert "unavailable" == shown["status"]
            assert str(shown["reason"]).startswith("breaker open for ")

    run_virtual(scenario())


def test_traffic_alone_brings_it_back() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await running.simulator.inject("primary", "503:times=3")
            for _ in range(60):
                await running.chat()
                await asyncio.sleep(1)

            assert [
                ("open", "consecutive_failures"),
                ("half_open", "time"),
                ("closed", "probes_succeeded"),
            ] == changes(running)
            (started,) = (event for event in running.told if isinstance(event, RampStarted))
            (recovered,) = (event for event in running.told if isinstance(event, Recovered))
            assert (10.0, PRIMARY) == (started.duration, recovered.deployment)
            assert 40 < recovered.duration < 50
            assert "available" == (await status(running))["status"]

    run_virtual(scenario())


def test_without_traffic_a_test_prompt_brings_it_back_and_then_none_is_spent() -> None:
    async def scenario() -> None:
        async with fleet(routes("auto")) as running:
            await running.simulator.inject("primary", "503:times=3")
            for _ in range(3):
                await running.chat()
            await until(lambda: ("closed", "probes_succeeded") in changes(running), 30)

            probes = [event for event in running.told if isinstance(event, ProbeEnded)]
            assert [("ok", "suspicion")] * 2 == [(probe.outcome, probe.cause) for probe in probes]
            asked = running.simulator.upstream("primary").requests[-1]
            assert b"Reply with the word ok." in asked.body
            assert b'"stream":true' in asked.body
            await asyncio.sleep(300)
            assert 3 + 2 == running.received("primary")

    run_virtual(scenario())


def test_each_failed_probe_makes_the_next_wait_longer() -> None:
    async def scenario() -> None:
        async with fleet(routes("auto")) as running:
            await running.simulator.inject("primary", "503")
            for _ in range(3):
                await running.chat()
            await asyncio.sleep(200)

            # After 10, 20, 40, 40, 40 seconds and a tenth at most, at the next round of the second.
            probes = [event for event in running.told if isinstance(event, ProbeEnded)]
            assert {("http_503", "suspicion")} == {(probe.outcome, probe.cause) for probe in probes}
            assert 5 <= len(probes) <= 6
            assert 3 + len(probes) == running.received("primary")

    run_virtual(scenario())


def test_a_probe_that_talks_nonsense_is_no_proof() -> None:
    async def scenario() -> None:
        question = 'timeout: 5s, prompt: "Are you well?", expect: "well"}'
        async with fleet(routes("auto").replace("timeout: 5s}", question)) as running:
            await running.simulator.inject("primary", "503:times=3")
            for _ in range(3):
                await running.chat()
            await asyncio.sleep(15)
            probes = [event for event in running.told if isinstance(event, ProbeEnded)]

            assert "unexpected_answer" == probes[-1].outcome
            assert "unavailable" == (await status(running))["status"]

    run_virtual(scenario())


def test_probes_on_the_interval_are_not_spent_while_traffic_proves_it() -> None:
    async def scenario() -> None:
        async with fleet(routes("always")) as running:
            for _ in range(30):
                await running.chat("alone", stream=False)
                await asyncio.sleep(10)
            busy = [event for event in running.told if isinstance(event, ProbeEnded) and event.deployment == PRIMARY]
            await asyncio.sleep(300)
            idle = [event for event in running.told if isinstance(event, ProbeEnded) and event.deployment == PRIMARY]

            assert [] == busy
            assert 8 <= len(idle) <= 13
            assert b'"stream":false' in running.simulator.upstream("primary").requests[-1].body

    run_virtual(scenario())


def test_a_hanging_deployment_holds_up_one_request_at_a_time_when_it_is_probed() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await running.simulator.inject("primary", "hang")
            await asyncio.gather(*(running.chat() for _ in range(3)))
            await asyncio.sleep(12)
            seen = await asyncio.gather(*(running.chat() for _ in range(20)))

            assert {200} == {each.status for each in seen}
            assert 4 == running.received("primary")
            assert 1 == sum(each.seconds > 7 for each in seen)

    run_virtual(scenario())


def test_all_down_the_client_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        budget = "retry: {attempts: 1, budget: {ratio: 0, min_per_second: 0}}"
        async with fleet(routes().replace("retry: {attempts: 1}", budget)) as running:
            await running.simulator.inject("primary", "refuse")
            await running.simulator.inject("backup", "refuse")
            for _ in range(3):
                await running.chat()
            seen = await running.chat()

            assert (503, "no_healthy_upstream") == (seen.status, seen.error["code"])
            assert re.search(
                r"primary/m breaker open for 1\d s, backup/m breaker open for 1\d s", seen.error["message"]
            )
            assert 0 < float(seen.headers["retry-after"]) <= 11
            assert seen.seconds < 0.05
            assert "x-should-retry" not in seen.headers

    run_virtual(scenario())


def test_a_client_that_leaves_during_a_probe_leaves_no_trace() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            await running.simulator.inject("primary", "503:times=3")
            for _ in range(3):
                await running.chat()
            await asyncio.sleep(12)
            await running.simulator.inject("primary", "hang:times=1")
            leaving = asyncio.ensure_future(running.chat())
            await asyncio.sleep(1)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await until(lambda: len(running.records) == 4)
            seen = await running.chat()

            assert [("primary", "ok")] == seen.trail

    run_virtual(scenario())
