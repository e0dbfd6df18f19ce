"""Hedges and parallel routes over real sockets: the first good answer wins, and the others cost as little as can be."""

import asyncio

from proxy.core.event import AttemptEnded, Hedged
from tests.support.fleet import Fleet, fleet, until
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0, max_concurrent: 20}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
  third: {kind: simulated}
defaults:
  deadline: 60s
  timeout: {connect: 1s, first_token: 20s, idle: 4s}
  health: {probe: never}
  foresight: {trend: false}
routes:
  hedged: {chain: [primary/m, backup/m], hedge: {after: 500ms, ratio: 50%}}
  learned: {chain: [primary/m, backup/m], hedge: {after: p95, ratio: 50%}}
  rare: {chain: [primary/m, backup/m], hedge: {after: 500ms, ratio: 5%}}
  all: {strategy: parallel, chain: [primary/m, backup/m, third/m]}
  drawn: {strategy: weighted, chain: [{to: primary/m, weight: 3}, backup/m, {to: third/m, weight: 0}]}
"""


async def warm(running: Fleet, route: str, count: int = 25) -> None:
    """Requests that are answered at once, so that there is a history and a budget."""
    for _ in range(count):
        await running.chat(route)


def hedges(running: Fleet) -> list[Hedged]:
    return [event for event in running.told if isinstance(event, Hedged)]


def test_a_silent_first_choice_is_hedged_and_the_loser_let_go() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm(running, "hedged", 2)
            await running.simulator.inject("primary", "hang")
            for stream in (True, False):
                seen = await running.chat("hedged", stream=stream)

                assert [("primary", "lost"), ("backup", "ok")] == sorted(seen.trail, reverse=True)
                assert 0.5 <= seen.seconds < 2
                assert "faster of two, hedged after 500 ms" == seen.headers["x-holdfast-reason"]
                assert "reason=hedged" == seen.headers["x-holdfast-degraded"]
            await until(lambda: running.simulator.upstream("primary").aborted == 2)
            primary = running.proxy.pool.deployments()[0]
            assert (0, 0) == (primary.in_flight, primary.consecutive_failures)

    run_virtual(scenario())


def test_the_first_may_still_win() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm(running, "hedged", 2)
            running.simulator.upstream("primary").voice.first_token_delay = 0.8
            running.simulator.upstream("backup").voice.first_token_delay = 5.0
            seen = await running.chat("hedged")

            assert [("primary", "ok"), ("backup", "lost")] == sorted(seen.trail, reverse=True)
            assert 1 == len(hedges(running))
            assert "x-holdfast-degraded" not in seen.headers

    run_virtual(scenario())


def test_the_delay_is_learned_from_the_deployments_own_answers() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            running.simulator.upstream("primary").voice.first_token_delay = 2.0
            await warm(running, "learned", 19)
            await running.simulator.inject("primary", "hang:times=1")
            unknown = await running.chat("learned")
            await warm(running, "learned", 20)
            await running.simulator.inject("primary", "hang:times=1")
            seen = await running.chat("learned")

            assert unknown.seconds > 19
            assert 2.0 <= seen.seconds < 3.5
            assert 1.9 < hedges(running)[0].delay < 2.1

    run_virtual(scenario())


def test_hedges_are_a_bounded_share_of_requests() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            running.simulator.upstream("primary").voice.first_token_delay = 1.0
            running.simulator.upstream("primary").voice.pace = 0.0
            for _ in range(10):
                await asyncio.gather(*(running.chat("rare") for _ in range(10)))

            # A twentieth of a hundred, and the timers of one moment see the same history.
            assert 1 <= len(hedges(running)) <= 5

    run_virtual(scenario())


def test_no_hedge_while_a_breaker_is_open() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm(running, "hedged", 5)
            await running.simulator.inject("backup", "503")
            for _ in range(5):
                await running.chat("hedged", headers={"x-holdfast-upstream": "backup"})
            await running.simulator.inject("primary", "slow_first_token:seconds=3")
            seen = await running.chat("hedged")

            assert [("primary", "ok")] == seen.trail
            assert [] == hedges(running)

    run_virtual(scenario())


def test_no_hedge_under_high_load() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm(running, "hedged", 5)
            await running.simulator.inject("primary", "slow_first_token:seconds=3")
            seen = await asyncio.gather(*(running.chat("hedged") for _ in range(18)))

            assert {200} == {each.status for each in seen}
            assert [] == hedges(running)

    run_virtual(scenario())


def test_a_client_that_leaves_ends_both() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm(running, "hedged", 2)
            await running.simulator.inject("primary", "hang")
            await running.simulator.inject("backup", "hang")
            leaving = asyncio.ensure_future(running.chat("hedged"))
            await asyncio.sleep(2)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

            await until(lambda: running.simulator.upstream("primary").aborted == 1)
            await until(lambda: running.simulator.upstream("backup").aborted == 1)
            await until(lambda: len(running.records) == 3)
            assert ["cancelled", "cancelled"] == [attempt.outcome for attempt in running.records[-1].attempts]
            assert 0 == sum(each.in_flight for each in running.proxy.pool.deployments())

    run_virtual(scenario())


def test_when_both_fail_the_chain_goes_on_or_says_so() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm(running, "hedged", 2)
            await running.simulator.inject("primary", "hang")
            await running.simulator.inject("backup", "empty")
            seen = await running.chat("hedged")

            assert 502 == seen.status
            assert ["empty_answer", "first_token_timeout"] == [outcome for _, outcome in seen.trail]

    run_virtual(scenario())


def test_parallel_asks_all_and_the_first_good_answer_wins() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.simulator.inject("primary", "hang")
            await running.simulator.inject("backup", "empty")
            running.simulator.upstream("third").voice.first_token_delay = 1.0
            for stream in (True, False):
                seen = await running.chat("all", stream=stream)

                assert 200 == seen.status
                assert {("primary", "lost"), ("backup", "empty_answer"), ("third", "ok")} == set(seen.trail)
            await until(lambda: running.simulator.upstream("primary").aborted == 2)
            lost = [event for event in running.told if isinstance(event, AttemptEnded) and event.outcome == "lost"]
            assert 2 == len(lost)
            assert 0 == sum(each.in_flight for each in running.proxy.pool.deployments())

    run_virtual(scenario())


def test_a_callers_fault_ends_a_parallel_request_at_once() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.simulator.inject("primary", "hang")
            await running.simulator.inject("backup", "400")
            seen = await running.chat("all")

            assert 400 == seen.status
            assert seen.seconds < 1

    run_virtual(scenario())


def test_a_weighted_route_draws_by_weight_and_falls_back_to_the_others() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for name in ("primary", "backup"):
                running.simulator.upstream(name).voice.pace = 0.0
            seen = [await running.chat("drawn", stream=False) for _ in range(200)]
            first = [each.headers["x-holdfast-upstream"] for each in seen]
            assert 0 == first.count("third")
            assert 120 <= first.count("primary") <= 180
            assert all("x-holdfast-degraded" not in each.headers for each in seen)

            await running.simulator.inject("primary", "503")
            await running.simulator.inject("backup", "503")
            fallen = await running.chat("drawn", stream=False)
            assert "third" == fallen.headers["x-holdfast-upstream"]
            assert "reason=failover" == fallen.headers["x-holdfast-degraded"]

    run_virtual(scenario())
