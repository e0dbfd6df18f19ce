"""The usage of a message that was finished elsewhere is that of the message."""

from typing import Any

import pytest

from tests.support.fleet import Seen, fleet
from tests.support.virtual_time import run_virtual

ANSWER = (
    "The river runs down from the hills, past the old mill, and it turns twice before it meets the wide and quiet "
    "sea that nobody here has ever crossed alone."
)
ASKED: dict[str, Any] = {"stream_options": {"include_usage": True}}
LONG = [{"role": "user", "content": "word " * 1000}]


async def usages(fault: str, backup: str | None, voice: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    async with fleet() as running:
        for upstream in running.simulator.upstreams.values():
            upstream.voice.answer = ANSWER
            for name, value in voice.items():
                setattr(upstream.voice, name, value)
        healthy = await running.chat(**ASKED, **more)
        await running.simulator.inject("primary", fault)
        await running.simulator.inject("backup", backup)
        resumed = await running.chat(**ASKED, **more)
        assert resumed.text == ANSWER
        return usage_of(healthy), usage_of(resumed)


def usage_of(seen: Seen) -> Any:
    return next(event["usage"] for event in seen.events if isinstance(event, dict) and event.get("usage"))


@pytest.mark.parametrize("more", [{}, {"messages": LONG}], ids=["short", "long"])
def test_prompt_tokens_after_reasoning(more: dict[str, Any]) -> None:
    async def scenario() -> None:
        voice = {"reasoning": "First I think about rivers, then about the sea."}
        healthy, resumed = await usages("cut_clean:after=14", None, voice, **more)
        assert healthy["prompt_tokens"] == resumed["prompt_tokens"]

    run_virtual(scenario())


def test_prompt_tokens_of_a_short_prompt_by_instruct() -> None:
    async def scenario() -> None:
        healthy, resumed = await usages("cut_clean:after=9", "refuse_prefill", {})
        assert abs(healthy["prompt_tokens"] - resumed["prompt_tokens"]) <= 10

    run_virtual(scenario())


@pytest.mark.parametrize("place", [3, 5, 9])
def test_completion_tokens_behind_the_mark(place: int) -> None:
    async def scenario() -> None:
        healthy, resumed = await usages(f"cut_clean:after={place}", "refuse_prefill", {"prefill": "restate"})
        assert healthy["completion_tokens"] == resumed["completion_tokens"]

    run_virtual(scenario())
