"""The official SDK takes the simulator for the real thing."""

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from proxy.simulator.server import Simulator

USER = {"role": "user", "content": "How are you?"}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    name: str
    people: int | None
    twin: "City | None"


class Trip(BaseModel):
    cities: list[City]
    by_train: bool


@pytest.fixture
async def sdk(simulator: Simulator):
    async with AsyncOpenAI(base_url=simulator.base_url("primary"), api_key="none", max_retries=0) as sdk:
        yield sdk


async def test_the_sdk_reads_answers_and_streams(sdk):
    whole = await sdk.chat.completions.create(model="gpt-4o", messages=[USER])
    stream = await sdk.chat.completions.create(
        model="gpt-4o", messages=[USER], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert [model.id for model in (await sdk.models.list()).data] == ["simulated"]


async def test_the_sdk_parses_structured_output(sdk):
    answer = await sdk.chat.completions.parse(model="gpt-4o", messages=[USER], response_format=Trip)
    assert answer.choices[0].message.parsed.by_train is True
    assert answer.choices[0].message.parsed.cities[0].name == "simulated"


async def test_the_sdk_assembles_streamed_tool_calls(sdk):
    async with sdk.chat.completions.stream(
        model="gpt-4o", messages=[USER], tools=[TOOL], tool_choice="required"
    ) as stream:
        answer = await stream.get_final_completion()
    [call] = answer.choices[0].message.tool_calls
    assert call.function.parsed_arguments == {"city": "simulated"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("unauthorized", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("model_missing", openai.NotFoundError),
        ("503", openai.InternalServerError),
        ("context", openai.BadRequestError),
        ("refuse", openai.APIConnectionError),
    ],
)
async def test_the_sdk_names_the_faults(simulator, sdk, fault, error):
    await simulator.inject("primary", fault)
    with pytest.raises(error):
        await sdk.chat.completions.create(model="gpt-4o", messages=[USER])
