"""Keep-alives kept a dead upstream for ever (Bifrost#2910); a missing [DONE] hung a finished one (Bifrost#7108)."""

import pytest

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("fault", ["pings:interval=0.05", "empty_deltas:interval=0.05"])
def test_only_content_feeds_the_first_token_timer(fault: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", fault)
            seen = await running.chat()

            assert [("primary", "first_token_timeout"), ("backup", "ok")] == seen.trail

    run_virtual(scenario())


def test_a_finished_stream_is_closed_after_a_short_grace() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            voice = running.simulator.upstream("primary").voice
            voice.answer, voice.pace = "short", 0.0
            await running.simulator.inject("primary", "no_done_hang")
            seen = await running.chat()

            assert seen.done
            assert seen.seconds < 1.5

    run_virtual(scenario())
