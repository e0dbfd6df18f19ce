"""Anthropic's SDK takes the simulator for the real thing, and is refused what the real thing refuses."""

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from .conftest import CITY, PIXEL, SAY, sse

USER = {"role": "user", "content": "How are you?"}
ASKED = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [USER]}
TOOLS = [{"name": name, "description": "d", "input_schema": CITY} for name in ("weather", "news")]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
# The SDK warns of the end of models that are good enough to be simulated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EVENTS = TypeAdapter(RawMessageStreamEvent)


@pytest.fixture
async def sdk(voice, root):
    async with AsyncAnthropic(base_url=root, api_key="none", max_retries=0) as sdk:
        yield sdk


async def test_an_answer_and_a_stream(sdk):
    whole = await sdk.messages.create(**ASKED)
    async with sdk.messages.stream(**ASKED) as stream:
        words = [word async for word in stream.text_stream]
        streamed = await stream.get_final_message()
    assert ([SAY], "end_turn") == ([block.text for block in whole.content], whole.stop_reason)
    assert SAY == "".join(words) == streamed.content[0].text
    assert (7, 10) == (whole.usage.input_tokens, whole.usage.output_tokens)
    assert (7, 10) == (streamed.usage.input_tokens, streamed.usage.output_tokens)
    assert "end_turn" == streamed.stop_reason


async def test_events_are_what_the_types_say(post, voice):
    voice.reasoning = "Let me think."
    wire = await post("/v1/messages", {**ASKED, "stream": True})
    events = sse(wire)
    for name, event in events:
        assert name == event["type"]
        assert name == "ping" or EVENTS.validate_python(event, strict=True).type == name
    names = [name for name, _ in events]
    assert ["message_start", "content_block_start", "ping", "content_block_delta"] == names[:4]
    assert ["content_block_stop", "message_delta", "message_stop"] == names[-3:]
    usages = [events[0][1]["message"]["usage"], events[-2][1]["usage"]]
    assert [(7, 1), (7, 13)] == [(usage["input_tokens"], usage["output_tokens"]) for usage in usages]
    assert [None, {"thinking_tokens": 3}] == [usage.get("output_tokens_details") for usage in usages]
    starts = [event["content_block"]["type"] for name, event in events if name == "content_block_start"]
    assert ["thinking", "text"] == starts
    kinds = [event["delta"]["type"] for name, event in events if name == "content_block_delta"]
    assert ["thinking_delta"] * 3 + ["signature_delta"] + ["text_delta"] * 10 == kinds
    whole = (await post("/v1/messages", ASKED)).json
    Message.model_validate(whole, strict=True)
    assert [("thinking", "Let me think."), ("text", SAY)] == [
        (one["type"], one[one["type"]]) for one in whole["content"]
    ]


@pytest.mark.parametrize(("parallel", "names"), [(True, ["weather", "news"]), (False, ["weather"])])
async def test_tools_are_called(sdk, parallel, names):
    choice = {"type": "any", "disable_parallel_tool_use": not parallel}
    whole = await sdk.messages.create(**ASKED, tools=TOOLS, tool_choice=choice)
    async with sdk.messages.stream(**ASKED, tools=TOOLS, tool_choice=choice) as stream:
        streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert names == [block.name for block in message.content]
        assert [{"city": "simulated"}] * len(names) == [block.input for block in message.content]
        assert "tool_use" == message.stop_reason
    # What was called can be answered.
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "rain"} for block in whole.content]
    history = [USER, {"role": "assistant", "content": whole.content}, {"role": "user", "content": results}]
    answer = await sdk.messages.create(**{**ASKED, "messages": history}, tools=TOOLS)
    assert SAY == answer.content[0].text


async def test_a_schema_is_obeyed(sdk):
    answer = await sdk.messages.create(**ASKED, output_config={"format": {"type": "json_schema", "schema": CITY}})
    assert '{"city": "simulated"}' == answer.content[0].text


async def test_limits_stops_refusals_and_images(sdk, voice):
    assert "max_tokens" == (await sdk.messages.create(**{**ASKED, "max_tokens": 3})).stop_reason
    stopped = await sdk.messages.create(**ASKED, stop_sequences=[" four"])
    assert ("one two three", "stop_sequence", " four") == (
        stopped.content[0].text,
        stopped.stop_reason,
        stopped.stop_sequence,
    )
    voice.answer = "{images} images"
    shown = [{"role": "user", "content": [IMAGE, IMAGE, {"type": "text", "text": "What is this?"}]}]
    assert "2 images" == (await sdk.messages.create(**{**ASKED, "messages": shown})).content[0].text
    voice.refusal = "I cannot help with that."
    refused = await sdk.messages.create(**ASKED)
    assert ("refusal", voice.refusal, []) == (refused.stop_reason, refused.stop_details.explanation, refused.content)


async def test_cached_tokens_are_told_apart(sdk, voice):
    voice.usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6}}
    usage = (await sdk.messages.create(**ASKED)).usage
    assert (3, 6, 0, 2) == (
        usage.input_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        usage.output_tokens,
    )


async def test_prefill_goes_on_where_the_generation_takes_it(sdk):
    messages = [USER, {"role": "assistant", "content": "one two three"}]
    for model in ("claude-sonnet-4-5-20250929", "claude-3-5-haiku-20241022", "simulated"):
        answer = await sdk.messages.create(**{**ASKED, "model": model, "messages": messages})
        assert SAY.removeprefix("one two three") == answer.content[0].text
    for model in ("claude-opus-4-6", "claude-sonnet-5", "claude-fable-5-1"):
        with pytest.raises(anthropic.BadRequestError, match="does not support assistant message prefill"):
            await sdk.messages.create(**{**ASKED, "model": model, "messages": messages})


async def test_tokens_are_counted_and_models_listed(sdk, voice):
    voice.models = ("claude-a", "claude-b")
    counted = await sdk.messages.count_tokens(model="claude-a", messages=[USER], system="Be kind.")
    assert 7 + 6 == counted.input_tokens
    assert ["claude-a", "claude-b"] == [model.id async for model in sdk.models.list()]


async def test_the_sdk_names_the_faults(simulator, sdk):
    named = {
        "unauthorized": anthropic.AuthenticationError,
        "429": anthropic.RateLimitError,
        "quota": anthropic.RateLimitError,
        "model_missing": anthropic.NotFoundError,
        "overloaded": anthropic.OverloadedError if hasattr(anthropic, "OverloadedError") else anthropic.APIStatusError,
        "503": anthropic.InternalServerError,
        "context": anthropic.BadRequestError,
        "refuse": anthropic.APIConnectionError,
    }
    for fault, error in named.items():
        await simulator.inject("primary", fault)
        with pytest.raises(error):
            await sdk.messages.create(**ASKED)


async def test_a_429_has_anthropics_headers(post, simulator):
    await simulator.inject("primary", "429:retry_after=7")
    wire = await post("/v1/messages", ASKED)
    assert ("7", "0") == (wire.headers["retry-after"], wire.headers["anthropic-ratelimit-requests-remaining"])
    assert ("error", "rate_limit_error") == (wire.json["type"], wire.json["error"]["type"])


async def test_the_sdk_raises_errors_within_a_stream(simulator, sdk):
    await simulator.inject("primary", "error_later:after=3")
    with pytest.raises(anthropic.APIStatusError) as caught:
        async with sdk.messages.stream(**ASKED) as stream:
            await stream.get_final_message()
    assert "api_error" == caught.value.body["error"]["type"]


async def test_key_and_version_are_wanted_only_on_demand(post, voice, client):
    assert 200 == (await post("/v1/messages", ASKED)).status
    voice.needs_key = True
    wire = await post("/v1/messages", ASKED)
    assert (401, "authentication_error") == (wire.status, wire.json["error"]["type"])


async def test_the_newest_version_takes_no_sampling(voice, root):
    sampled = {**ASKED, "extra_body": {"temperature": 0.5}}
    for version, error in (("2023-06-01", None), ("2026-10-21", anthropic.BadRequestError)):
        headers = {"anthropic-version": version}
        async with AsyncAnthropic(base_url=root, api_key="none", max_retries=0, default_headers=headers) as sdk:
            if error is None:
                assert SAY == (await sdk.messages.create(**sampled)).content[0].text
            else:
                with pytest.raises(error):
                    await sdk.messages.create(**sampled)


def call(mark: str, name: str = "weather") -> dict:
    return {"type": "tool_use", "id": mark, "name": name, "input": {}}


def result(mark: str) -> dict:
    return {"type": "tool_result", "tool_use_id": mark, "content": "rain"}


def turns(*contents) -> list[dict]:
    """Turns that take turns, the user's first."""
    return [{"role": "assistant" if place % 2 else "user", "content": one} for place, one in enumerate(contents)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"n": 1}, "n: Extra inputs are not permitted"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, 'first message must use the "user" role'),
        ({"messages": [{"role": "system", "content": "a"}]}, 'Unexpected role "system"'),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
        ({"messages": [{**USER, "name": "x"}]}, "messages.0.name: Extra inputs are not permitted"),
        ({"messages": turns("")}, "all messages must have non-empty content"),
        ({"messages": turns([{"type": "text", "text": ""}])}, "text content blocks must be non-empty"),
        ({"messages": turns([{"type": "image_url"}])}, "Input tag 'image_url' found using 'type'"),
        ({"messages": turns("a", "b ")}, "final assistant content cannot end with trailing whitespace"),
        (
            {"messages": turns("a", [call("t1")], "b")},
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use`",
        ),
        (
            {"messages": turns("a", [call("t1"), call("t2")], [result("t1")])},
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t2.",
        ),
        (
            {"messages": turns("a", [call("t1")], [{"type": "text", "text": "x"}, result("t1")])},
            "`tool_use` ids were found without `tool_result` blocks immediately after: t1",
        ),
        (
            {"messages": turns("a", "b", [result("t1")])},
            "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1.",
        ),
        ({"messages": turns("a", [call("t1"), call("t1")], [result("t1")])}, "`tool_use` ids must be unique"),
        (
            {"messages": turns("a", [call("t1")], [result("t1"), result("t1")])},
            "each tool_use must have a single result",
        ),
        ({"messages": turns("a", [call("t.1")], [result("t.1")])}, "should match pattern '^[a-zA-Z0-9_-]+$'"),
        ({"tools": [{"name": "a b", "input_schema": CITY}]}, "should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ({"tools": [{"name": "a", "input_schema": {}}]}, "input_schema.type: Input should be 'object'"),
        ({"tools": [*TOOLS, *TOOLS]}, "Tool names must be unique"),
        ({"tool_choice": {"type": "any"}}, "may only be specified while providing tools"),
        (
            {"model": "claude-opus-5-5", "tools": TOOLS, "tool_choice": {"type": "any"}},
            "`any` is not supported for this model",
        ),
        ({"model": "claude-opus-4-7", "temperature": 1}, "`temperature` is deprecated for this model."),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater than"),
        ({"model": "claude-opus-5", "thinking": {"type": "enabled", "budget_tokens": 1024}}, "is not supported"),
        ({"stop_sequences": [" "]}, "each stop sequence must contain non-whitespace"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}},
            "'additionalProperties' must be explicitly set to false",
        ),
    ],
)
async def test_what_is_refused_is_told_in_anthropics_words(post, changed, message):
    asked = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    wire = await post("/v1/messages", asked)
    assert (400, "invalid_request_error") == (wire.status, wire.json["error"]["type"])
    assert message in wire.json["error"]["message"]


@pytest.mark.parametrize(
    "changed",
    [
        {"messages": [USER, USER, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, USER]},
        {"model": "claude-opus-4-8", "messages": [USER, {"role": "system", "content": "Be kind."}]},
        {"messages": turns("a", [call("t1")], [result("t1"), {"type": "text", "text": "and?"}])},
        {"model": "claude-opus-4-6", "temperature": 0.5},
        {"thinking": {"type": "adaptive"}, "model": "claude-opus-5"},
    ],
)
async def test_what_the_api_takes_is_taken(post, changed):
    wire = await post("/v1/messages", {**ASKED, **changed})
    assert (200, b"") == (wire.status, b"" if wire.status == 200 else wire.body)
