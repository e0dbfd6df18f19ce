"""A reply names what was left out of its request, also where that was on the way to a chat completion."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.simulator.server import Simulator
from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  played: {kind: simulated}
  gemini: {kind: gemini, base_url: "%s", api_key: k}
routes:
  chat: {chain: [gemini/gemini-2.5-pro]}
"""
TOOL = {"name": "f", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
MESSAGES: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            "/v1/messages",
            {**MESSAGES, "tools": [SEARCH], "context_management": {}, "metadata": {"user_id": "u"}},
            "context_management, tools.web_search_20250305, metadata",
        ),
        ("/v1/messages", {**MESSAGES, "stream": True, "service_tier": "auto"}, "service_tier"),
        (
            "/v1/messages",
            {**MESSAGES, "tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "tool_choice.disable_parallel_tool_use",
        ),
        ("/v1/messages", MESSAGES, None),
        (
            "/v1/responses",
            {"input": "hi", "truncation": "auto", "store": True, "metadata": {"a": "b"}, "user": "u"},
            "truncation, store, user",
        ),
        ("/v1/responses", {"input": "hi", "text": {"verbosity": "low"}}, "text"),
        ("/v1/responses", {"input": "hi", "truncation": "disabled", "store": False, "include": []}, None),
        ("/v1/completions", {"prompt": "hi", "user": "u"}, "user"),
    ],
)
def test_names_of_what_is_left_out(path: str, body: dict[str, Any], expected: str | None) -> None:
    async def scenario() -> None:
        async with Simulator(["gemini"]) as outside:
            address = outside.base_url("gemini").removesuffix("/v1")
            async with fleet(ROUTES % address) as running:
                seen = await running.request("POST", path, json={"model": "chat", **body})

        assert (200, expected) == (seen.status, seen.headers.get("x-holdfast-dropped"))

    run_virtual(scenario())
