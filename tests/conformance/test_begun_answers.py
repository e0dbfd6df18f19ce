"""A Messages client that begins the answer itself: whoever goes on with it is asked, and nobody else."""

import anthropic
import pytest
from anthropic import AsyncAnthropic

from proxy.simulator.server import Simulator
from tests.support.fleet import fleet

ROUTES = """\
version: 1
server: {{port: 0}}
upstreams:
  here: {{kind: simulated}}
  openai: {{kind: openai, base_url: "{openai}", api_key: k}}
  bedrock: {{kind: bedrock, base_url: "{bedrock}", api_key: k}}
routes:
  openai: {{chain: [openai/gpt-4o]}}
  both: {{chain: [openai/gpt-4o, "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0"]}}
  newer: {{chain: ["bedrock/anthropic.claude-opus-4-8-v1:0"]}}
"""
BEGUN = [{"role": "user", "content": "Count to five."}, {"role": "assistant", "content": "one two"}]


async def test_it_is_not_answered_anew() -> None:
    async with Simulator(["openai", "bedrock"], first_token_delay=0.0, tokens_per_second=0) as outside:
        for name in ("openai", "bedrock"):
            outside.upstream(name).voice.answer = "one two three four five"
        routes = ROUTES.format(
            openai=outside.base_url("openai"), bedrock=outside.base_url("bedrock").removesuffix("/v1")
        )
        async with (
            fleet(routes) as running,
            AsyncAnthropic(base_url=running.url, api_key="unused", max_retries=0) as client,
        ):
            for model in ("openai", "newer"):
                with pytest.raises(anthropic.BadRequestError, match="does not go on with an answer"):
                    await client.messages.create(model=model, max_tokens=99, messages=BEGUN)
            answer = await client.messages.create(model="both", max_tokens=99, messages=BEGUN)

    assert " three four five" == answer.content[0].text
