"""What refers to an earlier response is asked of the account that keeps it, and of nobody else."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI

from proxy.simulator.server import Simulator
from tests.support.fleet import Fleet, fleet

ROUTES = """\
version: 1
server: {{port: 0}}
upstreams:
  primary: {{kind: simulated}}
  backup: {{kind: simulated}}
  claude: {{kind: anthropic, base_url: "{claude}", api_key: k}}
defaults: {{deadline: 10s, retry: {{attempts: 1}}}}
routes:
  chat: {{chain: [primary/m, backup/m]}}
  alone: {{chain: [primary/m]}}
  mixed: {{chain: [claude/claude-sonnet-4-5, primary/m]}}
"""


@pytest.fixture
async def running() -> AsyncIterator[tuple[Fleet, AsyncOpenAI]]:
    async with Simulator(["claude"], first_token_delay=0.0, tokens_per_second=0) as outside:
        routes = ROUTES.format(claude=outside.base_url("claude").removesuffix("/v1"))
        async with (
            fleet(routes) as made,
            AsyncOpenAI(base_url=f"{made.url}/v1", api_key="unused", max_retries=0) as client,
        ):
            yield made, client


async def asked(client: AsyncOpenAI, model: str, id_: str) -> str:
    """Who is asked for what refers to a response. The simulator keeps none, and says so."""
    with pytest.raises(openai.BadRequestError, match="not found") as error:
        await client.responses.create(model=model, input="more", previous_response_id=id_)
    return error.value.response.headers["x-holdfast-upstream"]


async def test_who_made_a_response_is_asked_again(running: tuple[Fleet, AsyncOpenAI]) -> None:
    proxy, client = running
    await proxy.simulator.inject("primary", "503")
    first = await client.responses.create(model="chat", input="hi")
    stream = await client.responses.create(model="chat", input="hi", stream=True)
    second = [event async for event in stream][-1].response
    await proxy.simulator.inject("primary", None)
    before = proxy.received("primary")

    for made in (first, second):
        assert "backup" == await asked(client, "chat", made.id)
    assert before == proxy.received("primary")


async def test_nobody_else_is_asked_when_it_fails(running: tuple[Fleet, AsyncOpenAI]) -> None:
    proxy, client = running
    first = await client.responses.create(model="chat", input="hi")
    await proxy.simulator.inject("primary", "503")
    with pytest.raises(openai.InternalServerError):
        await client.responses.create(model="chat", input="more", previous_response_id=first.id)
    assert 0 == proxy.received("backup")


@pytest.mark.parametrize("stream", [False, True])
async def test_nobody_keeps_what_was_translated(running: tuple[Fleet, AsyncOpenAI], stream: bool) -> None:
    _, client = running
    if stream:
        events = await client.responses.create(model="mixed", input="hi", stream=True)
        id_ = [event async for event in events][-1].response.id
    else:
        id_ = (await client.responses.create(model="mixed", input="hi")).id
    with pytest.raises(openai.BadRequestError, match="send the whole conversation") as error:
        await client.responses.create(model="mixed", input="more", previous_response_id=id_)
    assert "previous_response_id" == error.value.param


async def test_who_keeps_it_must_be_in_the_chain(running: tuple[Fleet, AsyncOpenAI]) -> None:
    proxy, client = running
    await proxy.simulator.inject("primary", "503")
    made = await client.responses.create(model="chat", input="hi")
    with pytest.raises(openai.BadRequestError, match="kept by backup"):
        await client.responses.create(model="alone", input="more", previous_response_id=made.id)


async def test_of_an_unknown_one_the_first_that_keeps_any_is_asked(running: tuple[Fleet, AsyncOpenAI]) -> None:
    _, client = running
    assert "primary" == await asked(client, "mixed", "resp_of_yesterday")
