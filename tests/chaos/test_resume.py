"""Streams that break under load, beside breakers, budgets, limits and deadlines, and are finished elsewhere."""

import asyncio
import gc

import aiohttp
import pytest

from proxy.core.event import BudgetRefused, ResumeEnded, StreamInterrupted
from proxy.core.names import DeploymentId
from proxy.streams.transcript import Room
from tests.support.fleet import Fleet, Seen, fleet, until
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
  third: {kind: simulated}
defaults:
  deadline: 30s
  timeout: {connect: 1s, first_token: 8s, idle: 4s}
  retry: {attempts: 3, backoff: {initial: 100ms}, budget: {ratio: RATIO, min_per_second: 0}}
  breaker: {consecutive: CONSECUTIVE, minimum_requests: 1000, open_for: 60s}
  health: {probe: never}
  foresight: {trend: false}
  panic: never
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
  three: {chain: [primary/m, backup/m, third/m]}
  all: {strategy: parallel, chain: [primary/m, backup/m, third/m]}
  drawn: {strategy: weighted, chain: [primary/m, {to: backup/m, weight: 0}]}
  hedged: {chain: [primary/m, backup/m], hedge: {after: 100ms, ratio: 100%}}
  resort: {chain: [primary/m, backup/m], last_resort: {cached: 1h, text: Sorry.}}
  narrow: {chain: [primary/m, {to: backup/m, max_concurrent: 2}]}
"""
ANSWER = (
    "Fifty people ask at the same time, and all of them are answered by one machine until somebody pulls its plug; "
    "none of them will ever know, since another machine says what was still to be said."
)
WORDS = len(ANSWER.split())
PRIMARY, BACKUP = DeploymentId("primary", "m"), DeploymentId("backup", "m")


def routes(ratio: str = "20%", consecutive: int = 1000) -> str:
    return ROUTES.replace("RATIO", ratio).replace("CONSECUTIVE", str(consecutive))


def prepare(running: Fleet) -> None:
    for upstream in running.simulator.upstreams.values():
        upstream.voice.answer = ANSWER


def in_flight(running: Fleet) -> int:
    return sum(each.in_flight for each in running.proxy.pool.deployments())


def kept() -> int:
    """Bytes of all transcripts that are still kept."""
    return sum(room.used for room in gc.get_objects() if type(room) is Room)


def whole(seen: Seen) -> bool:
    return (ANSWER, True) == (seen.text, seen.done)


@pytest.mark.parametrize("then", ["comes back", "stays away"])
def test_fifty_streams_survive_the_death_of_their_upstream(then: str) -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            asking = [asyncio.ensure_future(running.chat()) for _ in range(50)]
            await asyncio.sleep(0.02 * WORDS / 2)
            assert 50 == running.received("primary")
            if then == "stays away":
                await running.simulator.inject("primary", "refuse")
            running.simulator.upstream("primary").drop_connections()
            seen = await asyncio.gather(*asking)

            assert [True] * 50 == [whole(each) for each in seen]
            assert (50, 50) == (running.received("primary"), running.received("backup"))
            assert [("ok", "UR", 1)] * 50 == [
                (record.outcome, record.flag, len(record.resumes)) for record in running.records
            ]
            assert 50 == sum(isinstance(event, StreamInterrupted) for event in running.told)
            assert (0, 0) == (in_flight(running), kept())
            assert max(each.seconds for each in seen) < 3

    run_virtual(scenario())


def test_fifty_streams_whose_breaks_are_spread_over_all_upstreams_and_places() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            for number, name in enumerate(running.simulator.upstreams):
                running.simulator.upstream(name).voice.pace = 0.01 + number / 100

            async def ask(number: int) -> Seen:
                await asyncio.sleep(number / 50)
                return await running.chat("three")

            asking = [asyncio.ensure_future(ask(number)) for number in range(50)]
            for name in ("primary", "backup", "primary"):
                await asyncio.sleep(0.35)
                running.simulator.upstream(name).drop_connections()
            seen = await asyncio.gather(*asking)

            assert [True] * 50 == [whole(each) for each in seen]
            assert {0, 1, 2} == {len(record.resumes) for record in running.records}
            assert (0, 0) == (in_flight(running), kept())

    run_virtual(scenario())


def test_half_of_the_clients_leave_while_their_streams_are_moved() -> None:
    async def leave(running: Fleet, after: float) -> None:
        body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with aiohttp.ClientSession() as session:
            response = await session.post(f"{running.url}/v1/chat/completions", json=body)
            await asyncio.sleep(after)
            response.close()

    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            running.simulator.upstream("backup").voice.first_token_delay = 0.5
            asking = [asyncio.ensure_future(running.chat()) for _ in range(25)]
            leaving = [asyncio.ensure_future(leave(running, 0.3 + number / 25)) for number in range(25)]
            await asyncio.sleep(0.3)
            running.simulator.upstream("primary").drop_connections()
            seen = await asyncio.gather(*asking)
            await asyncio.gather(*leaving)
            await until(lambda: len(running.records) == 50)

            assert [True] * 25 == [whole(each) for each in seen]
            assert 20 <= sum(record.outcome == "client_left" for record in running.records) <= 25
            assert 0 == running.proxy.pool.deployment(BACKUP).failed
            assert (0, 0) == (in_flight(running), kept())
            await until(lambda: running.simulator.upstream("backup").status()["running"] == 0)

    run_virtual(scenario())


@pytest.mark.parametrize("fault", ["error_later:after=9", "cut_clean:after=9"])
def test_without_a_retry_budget_the_next_deployment_goes_on(fault: str) -> None:
    async def scenario() -> None:
        async with fleet(routes(ratio="0")) as running:
            prepare(running)
            await running.simulator.inject("primary", fault)
            seen = [await running.chat() for _ in range(20)]

            assert [True] * 20 == [whole(each) for each in seen]
            assert (20, 20) == (running.received("primary"), running.received("backup"))
            assert [] == [event for event in running.told if isinstance(event, BudgetRefused)]

    run_virtual(scenario())


def test_without_a_retry_budget_a_refused_mode_is_followed_by_the_next_one() -> None:
    async def scenario() -> None:
        async with fleet(routes(ratio="0")) as running:
            prepare(running)
            await running.simulator.inject("primary", "cut_clean:after=9")
            await running.simulator.inject("backup", "refuse_prefill")
            running.simulator.upstream("backup").voice.prefill = "repeat"
            seen = [await running.chat() for _ in range(3)]

            assert [True] * 3 == [whole(each) for each in seen]
            modes = [(each.mode, each.outcome) for each in running.told if isinstance(each, ResumeEnded)]
            later = [("instruct", "refused"), ("restart", "continued")]
            assert [("prefill", "refused"), *later, *later, *later] == modes
            assert 7 == running.received("backup")
            assert 0 == running.proxy.pool.deployment(BACKUP).consecutive_failures

    run_virtual(scenario())


def test_the_same_deployment_goes_on_only_if_somebody_pays() -> None:
    async def scenario() -> None:
        async with fleet(routes(ratio="0")) as running:
            prepare(running)
            await running.simulator.inject("primary", "error_later:after=9,times=1")
            seen = await running.chat("alone")

            assert ("upstream_stream_broken", "no_deployment_left") == (seen.error["code"], seen.error["reason"])
            assert 1 == running.received("primary")
            assert ["retry"] == [event.purpose for event in running.told if isinstance(event, BudgetRefused)]

    run_virtual(scenario())


def test_breaks_open_the_breaker_and_those_that_have_begun_go_on() -> None:
    async def scenario() -> None:
        async with fleet(routes(consecutive=3)) as running:
            prepare(running)
            await running.simulator.inject("primary", "cut_clean:after=9")
            seen = await asyncio.gather(*(running.chat() for _ in range(10)))
            later = await running.chat()

            assert [True] * 10 == [whole(each) for each in seen]
            assert whole(later)
            assert (10, 11) == (running.received("primary"), running.received("backup"))
            assert "primary/m has an open breaker" == later.headers["x-holdfast-reason"]

    run_virtual(scenario())


def test_who_has_an_open_breaker_is_passed_over() -> None:
    async def scenario() -> None:
        async with fleet(routes(consecutive=1)) as running:
            prepare(running)
            running.simulator.upstream("primary").voice.pace = 0.1
            await running.simulator.inject("primary", "cut_clean:after=9")
            streaming = asyncio.ensure_future(running.chat("three"))
            await until(lambda: running.received("primary") == 1)
            await running.simulator.inject("backup", "503")
            pinned = await running.chat("three", headers={"x-holdfast-upstream": "backup"})
            seen = await streaming

            assert 200 != pinned.status
            asked = running.received("backup")
            assert whole(seen)
            assert ["third"] == [each.target.upstream for each in running.records[-1].resumes]
            assert asked == running.received("backup")

    run_virtual(scenario())


def test_with_every_breaker_open_it_stays_a_part() -> None:
    async def scenario() -> None:
        async with fleet(routes(consecutive=1)) as running:
            prepare(running)
            running.simulator.upstream("primary").voice.pace = 0.1
            await running.simulator.inject("primary", "cut_clean:after=9")
            streaming = asyncio.ensure_future(running.chat())
            await until(lambda: running.received("primary") == 1)
            await running.simulator.inject("backup", "503")
            await running.chat(headers={"x-holdfast-upstream": "backup"})
            seen = await streaming

            assert ("upstream_stream_broken", "no_deployment_left") == (seen.error["code"], seen.error["reason"])
            assert not seen.done
            (ended,) = [event for event in running.told if isinstance(event, ResumeEnded)]
            assert ("truncated", "none", "given_up", None) == (ended.cause, ended.mode, ended.outcome, ended.target)

    run_virtual(scenario())


def test_a_place_is_waited_for() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            asking = [asyncio.ensure_future(running.chat("narrow")) for _ in range(8)]
            await asyncio.sleep(0.3)
            running.simulator.upstream("primary").drop_connections()
            seen = await asyncio.gather(*asking)

            assert [True] * 8 == [whole(each) for each in seen]
            served = running.simulator.upstream("backup").requests
            assert 8 == len(served)
            ends = sorted(each.finished_at or 0 for each in served)
            # From the third on, each begins when one before it has ended.
            assert all(each.received_at >= end for each, end in zip(served[2:], ends, strict=False))
            assert 0 == in_flight(running)

    run_virtual(scenario())


@pytest.mark.parametrize("fault", ["hang", "pings", "role_then_silence", "stall:after=3", "endless:interval=0.1"])
def test_no_resume_outlives_the_deadline(fault: str) -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            await running.simulator.inject("primary", "cut_clean:after=9")
            await running.simulator.inject("backup", fault)
            seen = await running.chat(headers={"x-holdfast-timeout": "3"})

            assert 3.0 <= seen.seconds < 3.1
            assert ("deadline_exceeded", "deadline_exceeded") == (seen.error["code"], seen.error["reason"])
            assert not seen.done
            assert 0 == in_flight(running)

    run_virtual(scenario())


def test_a_pinned_upstream_stays_pinned() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            await running.simulator.inject("primary", "cut_clean:after=9")
            seen = await running.chat(headers={"x-holdfast-upstream": "primary"})

            assert ("upstream_stream_broken", "no_deployment_left") == (seen.error["code"], seen.error["reason"])
            assert 0 == running.received("backup")

    run_virtual(scenario())


@pytest.mark.parametrize("route", ["all", "drawn", "hedged", "resort"])
def test_any_route_finishes_what_it_has_begun(route: str) -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            running.simulator.upstream("backup").voice.first_token_delay = 0.05
            running.simulator.upstream("third").voice.first_token_delay = 0.05
            await running.simulator.inject("primary", "cut_clean:after=9")
            seen = await running.chat(route)

            assert whole(seen)
            (resume,) = running.records[-1].resumes
            assert (PRIMARY, BACKUP, "truncated", "prefill") == (
                resume.source,
                resume.target,
                resume.cause,
                resume.mode,
            )
            assert 0 == in_flight(running)

    run_virtual(scenario())


def test_a_last_resort_continues_nothing() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            await running.simulator.inject("primary", "cut_clean:after=9")
            await running.simulator.inject("backup", "503")
            seen = await running.chat("resort")

            assert " ".join(ANSWER.split()[:9]) == seen.text
            assert ("upstream_stream_broken", "no_deployment_left") == (seen.error["code"], seen.error["reason"])
            assert not seen.done

    run_virtual(scenario())


def test_an_answer_that_was_finished_elsewhere_is_kept_whole_and_a_part_is_not() -> None:
    async def scenario() -> None:
        async with fleet(routes()) as running:
            prepare(running)
            await running.simulator.inject("primary", "cut_clean:after=9")
            part = await running.chat("resort", headers={"x-holdfast-fallback": "off"})
            await running.simulator.inject("primary", "503")
            await running.simulator.inject("backup", "503")
            without = await running.chat("resort")
            await running.simulator.inject("primary", "cut_clean:after=9")
            await running.simulator.inject("backup", None)
            finished = await running.chat("resort")
            await running.simulator.inject("primary", "503")
            await running.simulator.inject("backup", "503")
            kept = await running.chat("resort")

            assert ("resume_off", "Sorry.") == (part.error["reason"], without.text)
            assert whole(finished)
            assert ("kept answer", ANSWER) == (kept.headers["x-holdfast-reason"], kept.text)

    run_virtual(scenario())
