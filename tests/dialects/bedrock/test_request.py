"""Requests to Bedrock, checked against Amazon's own description of them."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.bedrock.dialect import BEDROCK
from proxy.dialects.dialect import ChatAsked, NotCarriedError
from tests.dialects.bedrock.oracle import check_request
from tests.dialects.chat_oracle import JSON, asked, knowing, written_or_refused

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWEST = "us.anthropic.claude-opus-5-5-v1:0"
NOVA = "amazon.nova-pro-v1:0"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SPECIFICATION = {
    "name": "weather",
    "inputSchema": {"json": WEATHER["function"]["parameters"]},
    "description": "Of a city.",
}
CALLED = [
    {"role": "user", "content": "q"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]


def sent(question: ChatAsked) -> dict[str, Any]:
    body = json.loads(b"".join(BEDROCK.write(question).body))
    check_request(question.model, body)
    return body


def dropped(fields: dict[str, Any], model: str, **more: Any) -> tuple[str, ...]:
    return BEDROCK.write(asked(fields, model, **more)).dropped


def test_the_least() -> None:
    assert {"messages": [{"role": "user", "content": [{"text": "hi"}]}]} == sent(asked({}, NOVA))


@pytest.mark.parametrize(
    "model", [CLAUDE, "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x", "a/../b"]
)
def test_the_path(model: str) -> None:
    for stream, end in ((False, "converse"), (True, "converse-stream")):
        _, first, name, last = BEDROCK.write(asked({}, model, stream=stream)).path.split("/")
        assert ("model", model, end) == (first, unquote(name), last)
    assert "%3A" in BEDROCK.write(asked({}, CLAUDE)).path


def test_how_it_is_drawn() -> None:
    fields = {"max_tokens": 9, "temperature": 1.7, "top_p": 0.9, "stop": ["a", "\n", ""], "service_tier": "flex"}

    body = sent(asked(fields, NOVA))
    expected = {"maxTokens": 9, "temperature": 1.0, "topP": 0.9, "stopSequences": ["a", "\n"]}
    assert (expected, {"type": "flex"}) == (body["inferenceConfig"], body["serviceTier"])
    assert () == dropped(fields, NOVA)
    assert ["a"] == sent(asked(fields, CLAUDE))["inferenceConfig"]["stopSequences"]
    assert ("stop",) == dropped(fields, CLAUDE)


def test_what_is_left_out_is_told() -> None:
    fields = {"user": "u", "seed": 7, "logprobs": True, "presence_penalty": 1, "service_tier": "scale", "top_k": 5}
    fields |= {"parallel_tool_calls": False, "stream_options": {}, "n": 1, "temperature": 1, "top_p": None}

    expected = (
        "user", "seed", "logprobs", "presence_penalty", "service_tier", "top_k", "parallel_tool_calls", "temperature",
    )  # fmt: skip
    assert expected == dropped(fields, NOVA, without={"temperature"})
    assert "inferenceConfig" not in sent(asked(fields, NOVA, without={"temperature"}))


def test_models_that_draw_as_they_like() -> None:
    fields = {"temperature": 0.5, "top_p": 0.5, "top_k": 5}

    assert ("temperature", "top_p", "top_k") == dropped(fields, NEWEST)
    assert {"top_k": 5} == sent(asked(fields, CLAUDE))["additionalModelRequestFields"]


@pytest.mark.parametrize(
    ("model", "effort", "fields", "thought", "told"),
    [
        (CLAUDE, "high", {}, {"thinking": {"type": "enabled", "budget_tokens": 16384}}, None),
        (CLAUDE, "low", {"max_tokens": 3000}, {"thinking": {"type": "enabled", "budget_tokens": 1500}}, None),
        (CLAUDE, "low", {"max_tokens": 1100}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None),
        (CLAUDE, "none", {}, None, None),
        ("anthropic.claude-sonnet-4-6-v1:0", "minimal", {}, {"thinking": {"type": "adaptive"}}, "low"),
        (NEWEST, "max", {}, {"thinking": {"type": "adaptive"}}, "max"),
        ("anthropic.claude-opus-4-7-v1:0", "none", {}, {"thinking": {"type": "disabled"}}, None),
        ("anthropic.claude-sonnet-5-5-v1:0", "none", {}, {"thinking": {"type": "between_tools"}}, None),
        ("openai.gpt-oss-120b-1:0", "xhigh", {}, {"reasoning_effort": "high"}, None),
    ],
)
def test_thinking(model: str, effort: str, fields: dict[str, Any], thought: Any, told: str | None) -> None:
    question = asked({"reasoning_effort": effort, **fields}, model)

    body = sent(question)
    assert thought == body.get("additionalModelRequestFields")
    assert told == body.get("outputConfig", {}).get("effort")
    assert () == BEDROCK.write(question).dropped


@pytest.mark.parametrize(
    ("model", "fields", "facts"),
    [
        (NOVA, {}, {}),
        (NEWEST, {"reasoning_effort": "none"}, {}),
        (CLAUDE, {"max_tokens": 1024}, {}),
        (CLAUDE, {"tools": [WEATHER], "tool_choice": "required"}, {}),
        (CLAUDE, {}, {"reasoning": False}),
        # litellm#18926: the calls stand without the thoughts that led to them.
        (CLAUDE, {"messages": CALLED, "tools": [WEATHER]}, {}),
    ],
)
def test_thinking_that_cannot_be_asked_for(model: str, fields: dict[str, Any], facts: dict[str, Any]) -> None:
    question = asked({"reasoning_effort": "high", **fields}, model, facts=knowing(**facts))

    assert "additionalModelRequestFields" not in sent(question)
    assert ("reasoning_effort",) == BEDROCK.write(question).dropped


def test_a_model_is_not_asked_for_more_than_it_can_give() -> None:
    question = asked({"max_tokens": 32000}, NOVA, facts=knowing(max_output=10000))

    assert {"maxTokens": 10000} == sent(question)["inferenceConfig"]


def test_a_thinking_model_draws_as_it_likes() -> None:
    fields = {"reasoning_effort": "high", "temperature": 0.2, "top_k": 4}

    assert ("temperature", "top_k") == dropped(fields, CLAUDE)


def test_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asking = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    told = sent(asked({"response_format": asking}, CLAUDE))["outputConfig"]["textFormat"]
    assert ("json_schema", "x") == (told["type"], told["structure"]["jsonSchema"]["name"])
    assert schema == json.loads(told["structure"]["jsonSchema"]["schema"])
    assert 1 == len(sent(asked({"response_format": {"type": "json_object"}}, CLAUDE))["system"])


def test_tools() -> None:
    body = sent(asked({"tools": [WEATHER], "tool_choice": "auto"}, CLAUDE))
    assert {"tools": [{"toolSpec": SPECIFICATION}]} == body["toolConfig"]

    named = {"type": "function", "function": {"name": "weather"}}
    assert {"any": {}} == sent(asked({"tools": [WEATHER], "tool_choice": "required"}, NOVA))["toolConfig"]["toolChoice"]
    forced = sent(asked({"tools": [WEATHER], "tool_choice": named}, NOVA))["toolConfig"]["toolChoice"]
    assert {"tool": {"name": "weather"}} == forced
    assert "toolConfig" not in sent(asked({"tools": [WEATHER], "tool_choice": "none"}, CLAUDE))
    with pytest.raises(NotCarriedError, match="forced"):
        BEDROCK.write(asked({"tools": [WEATHER], "tool_choice": named}, NEWEST))


def test_a_history_with_calls_keeps_tools() -> None:
    without_any = sent(asked({"messages": CALLED}, CLAUDE))["toolConfig"]["tools"]
    assert [{"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object"}}}}] == without_any

    fields = {"messages": CALLED, "tools": [WEATHER], "tool_choice": "none"}
    assert [{"toolSpec": SPECIFICATION}] == sent(asked(fields, CLAUDE))["toolConfig"]["tools"]
    assert ("tool_choice",) == dropped(fields, CLAUDE)


def test_names_of_tools_are_spelled_as_bedrock_takes_them() -> None:
    clients = ["weather", "the weather", "the.weather", "x" * 65, "x" * 66, "", "漢字"]
    tools = [{"type": "function", "function": {"name": name}} for name in clients]
    question = asked({"tools": tools}, NOVA)

    names = [tool["toolSpec"]["name"] for tool in sent(question)["toolConfig"]["tools"]]
    back = BEDROCK.write(question).names
    assert clients == [back.get(name, name) for name in names]
    assert ("weather", 7) == (names[0], len(set(names)))
    assert names == [tool["toolSpec"]["name"] for tool in sent(question)["toolConfig"]["tools"]]


def test_schemas() -> None:
    def schema(parameters: Any) -> Any:
        tools = [{"type": "function", "function": {"name": "f", "parameters": parameters, "strict": True}}]
        return sent(asked({"tools": tools}, NOVA))["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]

    assert {"type": "object", "properties": {}} == schema({}) == schema(None)
    assert {"type": "object", "properties": {"a": {}}} == schema({"properties": {"a": {}}})
    # litellm#26692: definitions in the old place are not looked for.
    old = {"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"type": "string"}}}
    new = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    assert new == schema(old)
    with pytest.raises(NotCarriedError):
        schema([])


def test_marks_for_the_cache() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    fields = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s", **mark}]},
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"ttl": "1h"}}]},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": [{"type": "text", "text": letter, **mark} for letter in "cde"]},
        ],
        "tools": [WEATHER | mark],
    }

    body = sent(asked(fields, CLAUDE))
    point = {"cachePoint": {"type": "default"}}
    assert [{"text": "s"}, point] == body["system"]
    assert {"cachePoint": {"type": "default", "ttl": "1h"}} == body["messages"][0]["content"][1]
    assert [{"text": "c"}, point, {"text": "d"}, point, {"text": "e"}] == body["messages"][2]["content"]
    assert 1 == len(body["toolConfig"]["tools"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"messages": [{"role": "oracle", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]}, "messages"),
    ],
)
def test_what_cannot_be_carried_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(NotCarriedError) as refused:
        BEDROCK.write(asked(fields))

    assert param == refused.value.param


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_what_is_no_model(model: str) -> None:
    with pytest.raises(NotCarriedError):
        BEDROCK.write(asked({}, model))


FIELDS = [
    "messages", "tools", "tool_choice", "response_format", "stop", "max_tokens", "reasoning_effort", "n", "top_k",
    "service_tier", "temperature",
]  # fmt: skip
PARTS = ["role", "content", "tool_calls", "type", "function", "image_url", "text", "file", "tool_call_id", "name"]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.lists(st.dictionaries(st.sampled_from(PARTS), JSON))))
def test_nothing_but_a_refusal_comes_of_garbage(fields: dict[str, Any]) -> None:
    written_or_refused(BEDROCK.write, fields)
