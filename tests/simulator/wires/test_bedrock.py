"""Amazon's SDK takes the simulator for the real thing, frame by frame."""

import asyncio

import botocore.session
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from proxy.simulator.wires.frames import frame

from .conftest import CITY, PIXEL, SAY

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
USER = {"role": "user", "content": [{"text": "How are you?"}]}
SPECS = [
    {"toolSpec": {"name": name, "description": "d", "inputSchema": {"json": CITY}}} for name in ("weather", "news")
]
PATH = "/model/some.model/converse"


@pytest.fixture
async def sdk(voice, root, monkeypatch):
    """Calls of the SDK, which knows no event loop, in a thread."""
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    session = botocore.session.get_session()
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2)
    session.set_credentials("none", "none")
    client = session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=root, config=config)

    async def converse(**asked) -> dict:
        return await asyncio.to_thread(client.converse, **{"modelId": MODEL, "messages": [USER], **asked})

    async def stream(**asked) -> list[dict]:
        def collected() -> list[dict]:
            return list(client.converse_stream(**{"modelId": MODEL, "messages": [USER], **asked})["stream"])

        return await asyncio.to_thread(collected)

    converse.stream = stream
    yield converse
    client.close()


def text_of(events: list[dict]) -> str:
    return "".join(one["contentBlockDelta"]["delta"].get("text", "") for one in events if "contentBlockDelta" in one)


async def test_an_answer_and_a_stream(sdk):
    whole = await sdk()
    events = await sdk.stream()
    assert [{"text": SAY}] == whole["output"]["message"]["content"]
    assert SAY == text_of(events)
    assert ["messageStart", "contentBlockStop", "messageStop", "metadata"] == [
        name for event in events for name in event if name != "contentBlockDelta"
    ]
    assert ("end_turn", {"stopReason": "end_turn"}) == (whole["stopReason"], events[-2]["messageStop"])
    for usage in (whole["usage"], events[-1]["metadata"]["usage"]):
        assert (7, 10, 17) == (usage["inputTokens"], usage["outputTokens"], usage["totalTokens"])


async def test_reasoning_is_a_block_of_its_own(sdk, voice):
    voice.reasoning = "Let me think."
    thought, said = (await sdk())["output"]["message"]["content"]
    assert ("Let me think.", SAY) == (thought["reasoningContent"]["reasoningText"]["text"], said["text"])
    deltas = [one["contentBlockDelta"] for one in await sdk.stream() if "contentBlockDelta" in one]
    thoughts = [one["delta"]["reasoningContent"] for one in deltas if one["contentBlockIndex"] == 0]
    assert ["text", "text", "text", "signature"] == [name for one in thoughts for name in one]
    assert SAY == "".join(one["delta"]["text"] for one in deltas if one["contentBlockIndex"] == 1)


async def test_tools_are_called_and_answered(sdk):
    config = {"tools": SPECS, "toolChoice": {"any": {}}}
    whole = await sdk(toolConfig=config)
    calls = [block["toolUse"] for block in whole["output"]["message"]["content"]]
    assert ["weather", "news"] == [call["name"] for call in calls]
    assert ([{"city": "simulated"}] * 2, "tool_use") == ([call["input"] for call in calls], whole["stopReason"])
    events = await sdk.stream(toolConfig=config)
    starts = [one["contentBlockStart"]["start"]["toolUse"]["name"] for one in events if "contentBlockStart" in one]
    deltas = [one["contentBlockDelta"] for one in events if "contentBlockDelta" in one]
    arguments = ["".join(d["delta"]["toolUse"]["input"] for d in deltas if d["contentBlockIndex"] == n) for n in (0, 1)]
    assert (["weather", "news"], ['{"city":"simulated"}'] * 2) == (starts, arguments)
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "rain"}]}} for call in calls]
    history = [USER, whole["output"]["message"], {"role": "user", "content": results}]
    answer = await sdk(messages=history, toolConfig={"tools": SPECS})
    assert SAY == answer["output"]["message"]["content"][0]["text"]


async def test_limits_stops_images_prefill_and_a_schema(sdk, voice):
    assert "max_tokens" == (await sdk(inferenceConfig={"maxTokens": 3}))["stopReason"]
    assert "stop_sequence" == (await sdk(inferenceConfig={"stopSequences": [" four"]}))["stopReason"]
    begun = [USER, {"role": "assistant", "content": [{"text": "one two three"}]}]
    assert SAY.removeprefix("one two three") == text_of(await sdk.stream(messages=begun))
    with pytest.raises(ClientError, match="does not support assistant message prefill"):
        await sdk(messages=begun, modelId="us.anthropic.claude-opus-4-6-v1")
    structure = {"jsonSchema": {"schema": '{"type":"object","properties":{"n":{"type":"integer"}}}', "name": "n"}}
    wanted = {"textFormat": {"type": "json_schema", "structure": structure}}
    assert '{"n": 1}' == (await sdk(outputConfig=wanted))["output"]["message"]["content"][0]["text"]
    voice.answer = "{images} images"
    image = {"image": {"format": "png", "source": {"bytes": PIXEL.encode()}}}
    shown = [{"role": "user", "content": [image, {"text": "What is this?"}]}]
    assert "1 images" == text_of(await sdk.stream(messages=shown))


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("429", "ThrottlingException", 429),
        ("unauthorized", "UnrecognizedClientException", 403),
        ("quota", "ServiceQuotaExceededException", 400),
        ("context", "ValidationException", 400),
        ("model_missing", "ResourceNotFoundException", 404),
        ("overloaded", "ServiceUnavailableException", 503),
        ("500", "InternalServerException", 500),
    ],
)
async def test_the_sdk_names_the_faults(simulator, sdk, fault, code, status):
    await simulator.inject("primary", fault)
    with pytest.raises(ClientError) as caught:
        await sdk()
    answer = caught.value.response
    assert (code, status) == (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"])


async def test_the_sdk_raises_errors_within_a_stream(simulator, sdk):
    await simulator.inject("primary", "error_later:after=3")
    with pytest.raises(EventStreamError, match="internalServerException"):
        await sdk.stream()


def test_a_frame_is_read_back():
    buffer = EventStreamBuffer()
    buffer.add_data(frame({":event-type": "messageStart", ":message-type": "event"}, b'{"role":"assistant"}'))
    read = buffer.next()
    assert {":event-type": "messageStart", ":message-type": "event"} == read.headers
    assert b'{"role":"assistant"}' == read.payload


def call(mark: str) -> dict:
    return {"toolUse": {"toolUseId": mark, "name": "weather", "input": {}}}


def result(mark: str) -> dict:
    return {"toolResult": {"toolUseId": mark, "content": [{"text": "rain"}]}}


def turns(*contents) -> list[dict]:
    return [{"role": "assistant" if place % 2 else "user", "content": one} for place, one in enumerate(contents)]


A = [{"text": "a"}]
TOOLS = {"toolConfig": {"tools": SPECS}}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"messages": []}, "messages field is required"),
        ({"messages": [USER], "max_tokens": 1}, "extraneous key [max_tokens] is not permitted"),
        ({"messages": [{"role": "assistant", "content": A}]}, "must start with a user message"),
        ({"messages": [USER, USER]}, "must alternate between user and assistant roles"),
        ({"messages": turns([])}, "content field in the Message object at messages.0 is empty"),
        (
            {"messages": turns([{"text": " "}])},
            "ContentBlock object at messages.0.content.0 is blank",
        ),
        ({"messages": turns([{"type": "text", "text": "a"}])}, "must set one of the following keys"),
        ({"messages": turns(A, [call("t1")], A), **TOOLS}, "Expected toolResult blocks at messages.2.content"),
        ({"messages": turns(A, A, [result("t1")]), **TOOLS}, "exceeds the number of toolUse blocks of previous turn"),
        ({"messages": turns(A, [call("t1")], [result("t1")])}, "toolConfig field must be defined"),
        ({"messages": turns(A), "toolConfig": {"tools": SPECS, "toolChoice": {"none": {}}}}, "auto, any, tool"),
    ],
)
async def test_what_is_refused(post, asked, message):
    wire = await post(PATH, asked)
    assert (400, True) == (wire.status, wire.headers["x-amzn-errortype"].startswith("ValidationException:"))
    assert message in wire.json["message"]
