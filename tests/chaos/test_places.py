"""Limits of attempts at once over real sockets: waiting in a bounded queue, and a quick refusal beyond it."""

import asyncio

from proxy.core.event import Shed
from tests.support.fleet import fleet, until
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0, max_waiting: 5}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated, max_concurrent: 2}
defaults:
  deadline: 20s
  timeout: {connect: 1s, first_token: 15s, idle: 15s}
  health: {probe: never}
  max_concurrent: 3
routes:
  alone: {chain: [primary/m]}
  chat: {chain: [primary/m, backup/m]}
  two: {chain: [backup/m, backup/n]}
"""


def test_beyond_the_limit_requests_wait_for_a_place_in_order() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            running.simulator.upstream("primary").voice.pace = 0.0
            running.simulator.upstream("primary").voice.first_token_delay = 2.0
            ended: list[int] = []

            async def one(number: int) -> None:
                await asyncio.sleep(number / 100)
                seen = await running.chat("alone")
                assert 200 == seen.status
                ended.append(number)

            await asyncio.gather(*(one(number) for number in range(8)))

            assert list(range(8)) == ended

    run_virtual(scenario())


def test_beyond_the_queue_the_answer_is_an_immediate_503() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.simulator.inject("primary", "hang")
            waiting = [asyncio.ensure_future(running.chat("alone")) for _ in range(8)]
            await until(lambda: running.received("primary") == 3)
            await asyncio.sleep(0.1)
            seen = await running.chat("alone")

            assert (503, "overloaded", "1") == (seen.status, seen.error["code"], seen.headers["retry-after"])
            assert seen.seconds < 0.05
            assert "primary/m full" in seen.error["message"]
            assert [Shed("alone")] == [event for event in running.told if isinstance(event, Shed)]
            late = await asyncio.gather(*waiting)
            assert {504, 503} >= {each.status for each in late}
            assert max(each.seconds for each in late) < 20.1
            assert 0 == sum(each.in_flight for each in running.proxy.pool.deployments())

    run_virtual(scenario())


def test_a_full_first_choice_is_passed_over_at_once() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            running.simulator.upstream("primary").voice.first_token_delay = 3.0
            seen = await asyncio.gather(*(running.chat() for _ in range(5)))

            assert [3, 2] == [
                sum(each.headers["x-holdfast-upstream"] == name for each in seen) for name in ("primary", "backup")
            ]
            other = next(each for each in seen if each.headers["x-holdfast-upstream"] == "backup")
            assert "primary/m is full" == other.headers["x-holdfast-reason"]
            assert other.seconds < 2

    run_virtual(scenario())


def test_an_upstreams_limit_holds_for_all_of_its_models() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            running.simulator.upstream("backup").voice.pace = 0.0
            running.simulator.upstream("backup").voice.first_token_delay = 1.0
            seen = await asyncio.gather(*(running.chat("two") for _ in range(6)))

            assert {200} == {each.status for each in seen}
            assert [1, 1, 2, 2, 3, 3] == sorted(round(each.seconds) for each in seen)

    run_virtual(scenario())


def test_a_client_that_leaves_the_queue_makes_room_and_takes_no_place() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            running.simulator.upstream("primary").voice.pace = 0.0
            running.simulator.upstream("primary").voice.first_token_delay = 2.0
            asking = [asyncio.ensure_future(running.chat("alone")) for _ in range(8)]
            await asyncio.sleep(0.5)
            for leaving in asking[3:]:
                leaving.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            await until(lambda: len(running.records) == 8)
            seen = await running.chat("alone")

            assert 200 == seen.status
            assert 4 == running.received("primary")

    run_virtual(scenario())


def test_whoever_waits_for_one_that_breaks_is_told_at_once() -> None:
    async def scenario() -> None:
        rules = "max_concurrent: 1\n  breaker: {consecutive: 1}\n  panic: never"
        async with fleet(ROUTES.replace("max_concurrent: 3", rules)) as running:
            await running.simulator.inject("primary", "hang")
            await running.simulator.inject("backup", "hang")
            seen = await asyncio.gather(*(running.chat() for _ in range(6)))

            # The breakers opened with the first two timeouts: the others need not find out for themselves.
            assert [503] * 6 == [each.status for each in seen]
            assert (1, 1) == (running.received("primary"), running.received("backup"))
            assert [15] * 6 == [round(each.seconds) for each in seen]
            assert 0 == sum(each.in_flight for each in running.proxy.pool.deployments())

    run_virtual(scenario())
