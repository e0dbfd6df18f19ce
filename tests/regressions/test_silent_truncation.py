"""A truncated stream that ends cleanly looks whole to every SDK (Portkey#1797): it must end in an error event."""

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


def test_a_clean_end_without_finish_reason_is_told_as_an_error() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "cut_clean:after=9")
            seen = await running.chat()

            assert "upstream_stream_broken" == seen.error["code"]
            assert not seen.done
            assert all(
                choice.get("finish_reason") is None for event in seen.events for choice in event.get("choices", [])
            ), "a finish reason must never be invented (litellm#33404)"

    run_virtual(scenario())
