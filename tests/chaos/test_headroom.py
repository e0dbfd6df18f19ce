"""Rate limits are seen coming: traffic moves away before the upstream has to refuse."""

import asyncio

from proxy.core.event import AttemptEnded
from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


def test_no_request_is_sent_into_a_spent_limit() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "low_headroom:remaining=5,limit=10,reset=20,refill=steady")
            answered = []
            for _ in range(60):
                seen = await running.chat(stream=False)
                answered.append(seen.headers["x-holdfast-upstream"])
                await asyncio.sleep(0.2)

            outcomes = {event.outcome for event in running.told if isinstance(event, AttemptEnded)}
            assert {"ok"} == outcomes
            # Five at once, and then one every two seconds, as they come free.
            assert ["primary"] * 4 == answered[:4]
            assert 8 <= answered.count("primary") <= 40
            assert "backup" in answered

    run_virtual(scenario())
