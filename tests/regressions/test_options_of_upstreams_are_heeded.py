"""What routes.yaml sets under an upstream's `options` counts in every language that it is asked in.

The version of Anthropic's API was heeded for clients who speak Messages, and overruled for all others.
"""

from __future__ import annotations

import pytest

from proxy.simulator.server import Simulator
from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  played: {kind: simulated}
  claude: {kind: anthropic, base_url: "%s", api_key: k, options: {version: "2024-01-01", beta: "a,b"}}
routes:
  chat: {chain: [claude/claude-sonnet-4-5]}
"""
ASKED = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_the_version_and_the_betas_of_anthropic(path: str) -> None:
    async def scenario() -> None:
        async with Simulator(["claude"]) as outside, fleet(ROUTES % outside.base_url("claude")) as running:
            body = {"model": "chat", "max_tokens": 9, "messages": ASKED}
            assert 200 == (await running.request("POST", path, json=body)).status
            (request,) = (each for each in outside.upstream("claude").requests if each.method == "POST")

            told = (request.headers["anthropic-version"], request.headers["anthropic-beta"])
            assert told == ("2024-01-01", "a,b")

    run_virtual(scenario())
