"""A truncated stream that ends cleanly looks whole to every SDK (Portkey#1797): it is finished, or ends in an error."""

from tests.support.fleet import Seen, fleet
from tests.support.virtual_time import run_virtual


def finish_reasons(seen: Seen) -> list[str]:
    chunks = [event for event in seen.events if isinstance(event, dict)]
    reasons = [choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices", [])]
    return [reason for reason in reasons if reason is not None]


def test_a_clean_end_without_finish_reason_is_no_end() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            running.simulator.upstream("primary").voice.answer = "One two three four five six seven. The end."
            running.simulator.upstream("backup").voice.answer = "One two three four five six seven. The end."
            await running.simulator.inject("primary", "cut_clean:after=5")
            seen = await running.chat()

            assert ("One two three four five six seven. The end.", True) == (seen.text, seen.done)
            assert ["stop"] == finish_reasons(seen)

    run_virtual(scenario())


def test_with_nobody_to_finish_it_a_clean_end_without_finish_reason_is_told_as_an_error() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "cut_clean:after=9")
            seen = await running.chat("alone")

            assert ("upstream_stream_broken", "no_deployment_left") == (seen.error["code"], seen.error["reason"])
            assert not seen.done
            assert [] == finish_reasons(seen), "a finish reason must never be invented (litellm#33404)"

    run_virtual(scenario())
