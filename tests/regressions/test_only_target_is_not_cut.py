"""A fixed first-chunk limit killed slow but only targets (otari#237, freellmapi PR#1264)."""

import pytest

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_the_only_and_the_last_deployment_have_until_the_deadline(stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "slow_first_token:seconds=40")
            assert [("primary", "ok")] == (await running.chat("alone", stream=stream)).trail
            await running.simulator.inject("backup", "slow_first_token:seconds=40")
            seen = await running.chat(stream=stream)
            assert [("primary", "first_token_timeout"), ("backup", "ok")] == seen.trail

    run_virtual(scenario())
