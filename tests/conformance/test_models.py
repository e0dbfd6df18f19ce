"""The routes as models, to the clients of OpenAI and of Anthropic."""

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.support.fleet import fleet


async def test_both_sdks_list_the_routes() -> None:
    async with (
        fleet() as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused") as openai,
        AsyncAnthropic(base_url=running.url, api_key="unused") as anthropic,
    ):
        assert ["chat", "alone", "three"] == [model.id async for model in openai.models.list()]
        assert ["chat", "alone", "three"] == [model.id async for model in anthropic.models.list()]
        assert "holdfast" == (await openai.models.retrieve("alone")).owned_by
        assert "alone" == (await anthropic.models.retrieve("alone")).display_name
