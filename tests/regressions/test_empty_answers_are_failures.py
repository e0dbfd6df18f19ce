"""A 200 without an answer was passed on, cached and counted as a success (llm-gateway#2709, GoModel#947)."""

import pytest

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_an_empty_answer_fails_over_and_counts(stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "empty")
            seen = await running.chat(stream=stream)

            assert [("primary", "empty_answer"), ("backup", "ok")] == seen.trail
            assert 1 == running.proxy.pool.deployments()[0].consecutive_failures

    run_virtual(scenario())


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_an_answer_cut_by_its_own_limit_is_legitimate(stream: bool) -> None:
    """llmgateway PR#2811: `length` explains an answer, however short."""

    async def scenario() -> None:
        async with fleet() as running:
            seen = await running.chat(stream=stream, max_tokens=1)

            assert [("primary", "ok")] == seen.trail
            assert b'"length"' in seen.body

    run_virtual(scenario())
