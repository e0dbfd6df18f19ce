"""All targets cooling down meant an instant failure without Retry-After (litellm#3646, #27823)."""

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


def test_waits_for_the_first_that_comes_back_within_the_deadline() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=20,times=1")
            await running.simulator.inject("backup", "429:retry_after=10,times=1")
            seen = await running.chat(stream=False)

            assert (200, "backup") == (seen.status, seen.headers["x-holdfast-upstream"])
            assert 10.0 <= seen.seconds < 12.5

    run_virtual(scenario())


def test_says_when_to_come_back_if_that_is_too_late() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=200")
            await running.simulator.inject("backup", "429:retry_after=100")
            first = await running.chat(stream=False)
            second = await running.chat(stream=False)

            for seen in (first, second):
                assert (429, "rate_limit_exceeded") == (seen.status, seen.error["code"])
                assert "100" == seen.headers["retry-after"]
            assert second.seconds < 0.05
            assert "0" == second.headers["x-holdfast-attempts"]

    run_virtual(scenario())
