"""On the Responses wire one event finishes the answer and ends the stream. What was held back until then, an only tool
call or with `hold: all` structured output, was taken for nothing: `empty_answer`, and the request went elsewhere."""

from __future__ import annotations

from typing import Any

from proxy.simulator.answers import ToolCall
from tests.support.fleet import ROUTES, Seen, fleet
from tests.support.virtual_time import run_virtual

HELD = ROUTES.replace("defaults: {", "defaults: {resume: {hold: all}, ")
WEATHER: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
BODY = {"model": "chat", "stream": True, "input": "hi", "tools": [WEATHER]}


def delivered(seen: Seen, kind: str) -> str:
    """The deltas of one kind."""
    events = [event for event in seen.events if event["type"] == f"response.{kind}.delta"]
    return "".join(event["delta"] for event in events)


def test_an_answer_may_be_a_call_and_nothing_else() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            running.simulator.upstream("primary").voice.tool_calls = [ToolCall("weather", {"city": "Oslo"})]
            seen = await running.request("POST", "/v1/responses", json=BODY)

            assert [("primary", "ok")] == seen.trail
            assert '{"city":"Oslo"}' == "".join(delivered(seen, "function_call_arguments").split())

    run_virtual(scenario())


def test_structured_output_may_be_held_until_it_is_whole() -> None:
    async def scenario() -> None:
        async with fleet(HELD) as running:
            format_ = {"type": "json_schema", "name": "mood", "schema": {"enum": ["fine"]}}
            body = {"model": "chat", "stream": True, "input": "hi", "text": {"format": format_}}
            seen = await running.request("POST", "/v1/responses", json=body)

            assert [("primary", "ok")] == seen.trail
            assert '"fine"' == delivered(seen, "output_text")

    run_virtual(scenario())
