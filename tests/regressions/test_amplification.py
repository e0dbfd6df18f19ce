"""Stacked retries multiplied an outage: 45 attempts for 15 requests (openai-python#3828, litellm PR#34129)."""

import asyncio

from tests.support.fleet import ROUTES, fleet
from tests.support.virtual_time import run_virtual


def test_a_total_outage_costs_each_deployment_little_more_than_one_attempt_per_request() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("deadline: 60s,", "deadline: 60s, retry: {budget: {ratio: 20%, min_per_second: 0}},")
        async with fleet(routes) as running:
            for name in running.simulator.upstreams:
                await running.simulator.inject(name, "503")
            seen = await asyncio.gather(*(running.chat() for _ in range(300)))

            assert {503} == {each.status for each in seen}
            assert all(float(each.headers["retry-after"]) > 0 for each in seen)
            attempts = running.received("primary") + running.received("backup")
            assert 10 <= attempts <= 600 + 0.2 * 300

    run_virtual(scenario())


def test_one_request_never_asks_a_deployment_more_often_than_its_attempts() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "503")
            await running.simulator.inject("backup", "reset")
            seen = await running.chat()

            assert 502 == seen.status
            assert 3 == running.received("primary")
            assert 2 == running.received("backup")

    run_virtual(scenario())
