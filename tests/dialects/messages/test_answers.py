"""Chat completions as messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.chat_events import chat_completion, tool_call, usage_of
from proxy.dialects.messages.names import function_name
from proxy.dialects.messages.wire import MESSAGES
from tests.dialects.messages.oracle import message_of, speaking


def answered(
    message: dict[str, Any], finish: str | None = "stop", usage: dict[str, Any] | None = None, **request: Any
) -> dict[str, Any]:
    answer = chat_completion("chatcmpl-1", 1, "m", message, finish, usage)
    return message_of(MESSAGES.from_chat(answer, speaking(**request)))


def test_text() -> None:
    usage = usage_of(12, 3, cached=4, cache_write=2, thought=1)
    assert {
        "id": "msg_x1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 4,
            "output_tokens": 3,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    } == answered({"content": "Hello"}, usage=usage)


def test_thoughts_text_and_calls_in_this_order() -> None:
    message = {
        "content": "Well",
        "reasoning_content": "Hm",
        "tool_calls": [tool_call("call_1", "look", '{"at": 1e400}'), tool_call("f.look:1", "look", "")],
    }
    answer = chat_completion("chatcmpl-1", 1, "m", message, "tool_calls", None)
    body = MESSAGES.from_chat(answer, speaking())
    assert b'"input":{"at": 1e400}' in body
    read = json.loads(body)
    assert ["thinking", "text", "tool_use", "tool_use"] == [block["type"] for block in read["content"]]
    assert {"type": "thinking", "thinking": "Hm", "signature": ""} == read["content"][0]
    assert {"type": "tool_use", "id": "f_look_1", "name": "look", "input": {}} == read["content"][3]
    assert "tool_use" == read["stop_reason"]


def test_signed_thoughts_are_told_once() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    read = answered({"content": "So", "reasoning_content": "Hm", "thinking_blocks": blocks})
    assert [*blocks, {"type": "text", "text": "So"}] == read["content"]


@pytest.mark.parametrize(
    "message",
    [
        {"content": "So", "reasoning": "Hm"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                {"type": "text", "text": "So"},
            ]
        },
    ],
)
def test_thoughts_of_others(message: dict[str, Any]) -> None:
    thinking, said = answered(message)["content"]
    assert ("Hm", "So") == (thinking["thinking"], said["text"])


@pytest.mark.parametrize(
    ("arguments", "its"),
    [
        ('{"a":1}', {"a": 1}),
        ("", {}),
        (" ", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ("{}{}", {"_raw": "{}{}"}),  # litellm#20543
        ("[1]", {"_raw": "[1]"}),
    ],
)
def test_inputs_are_objects(arguments: Any, its: dict[str, Any]) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    assert its == answered({"tool_calls": [call]})["content"][0]["input"]


def test_names_that_were_cut_are_whole_again() -> None:
    name = "mcp__" + "long_" * 20
    tools = [{"name": name, "input_schema": {"type": "object"}}]
    read = answered({"tool_calls": [tool_call("c", function_name(name), "{}")]}, tools=tools)
    assert name == read["content"][0]["name"]


def test_a_function_call_of_old() -> None:
    read = answered({"function_call": {"name": "f", "arguments": "{}"}}, "function_call")
    assert {"type": "tool_use", "id": "toolu_x10", "name": "f", "input": {}} == read["content"][0]


@pytest.mark.parametrize(
    ("finish", "message", "reason"),
    [
        ("stop", {"content": "a"}, "end_turn"),
        ("stop", {"tool_calls": [tool_call("c", "f", "{}")]}, "tool_use"),
        ("length", {"content": "a"}, "max_tokens"),
        ("length", {"tool_calls": [tool_call("c", "f", "{}")]}, "max_tokens"),
        ("content_filter", {"content": ""}, "refusal"),
        (None, {"content": "a"}, "end_turn"),
        ("stop", {"content": None, "refusal": "No."}, "refusal"),
    ],
)
def test_stop_reasons(finish: str | None, message: dict[str, Any], reason: str) -> None:
    read = answered(message, finish)
    assert reason == read["stop_reason"]
    assert ("stop_details" in read) == (reason == "refusal")


def test_the_stop_sequence_that_vllm_tells() -> None:
    answer = chat_completion("chatcmpl-1", 1, "m", {"content": "a"}, "stop", None)
    answer = answer.replace(b'"finish_reason"', b'"stop_reason":"END","finish_reason"')
    read = message_of(MESSAGES.from_chat(answer, speaking(stop_sequences=["END"])))
    assert ("stop_sequence", "END") == (read["stop_reason"], read["stop_sequence"])


def test_what_deepseek_calls_cached() -> None:
    usage = answered({"content": "So"}, usage={**usage_of(10, 2), "prompt_cache_hit_tokens": 4})["usage"]
    assert (6, 4) == (usage["input_tokens"], usage["cache_read_input_tokens"])


def test_without_any_usage_it_is_estimated() -> None:
    usage = answered({"content": "So"})["usage"]
    assert 0 < usage["input_tokens"] < 10 and usage["output_tokens"] > 0


def test_half_a_surrogate_pair_goes_on() -> None:
    answer = b'{"choices":[{"message":{"content":"a\\ud83d"},"finish_reason":"stop"}]}'
    assert "a\ud83d" == json.loads(MESSAGES.from_chat(answer, speaking()))["content"][0]["text"]


NAMES = [
    "message", "content", "tool_calls", "function", "arguments", "name", "id", "usage", "finish_reason",
    "thinking_blocks", "thinking", "type", "text", "refusal", "prompt_tokens_details", "cached_tokens",
]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(["choices", "usage", "id"]), values) | values)
def test_no_answer_trips_it(answer: Any) -> None:
    read = json.loads(MESSAGES.from_chat(json.dumps(answer).encode(), speaking()))
    assert "message" == read["type"]
