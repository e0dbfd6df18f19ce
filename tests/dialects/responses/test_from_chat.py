"""Chat completions as responses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from proxy.dialects.responses.wire import RESPONSES
from tests.dialects.responses.oracle import check_response, speaking

USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def response_of(message: Any, finish: Any = "stop", asked: Any = None, **more: Any) -> dict[str, Any]:
    request = RESPONSES.parse(json.dumps({"model": "route", "input": "hi", **(asked or {})}).encode())
    choice = {"index": 0, "message": message, "finish_reason": finish}
    answer = json.dumps({"id": "chatcmpl-1", "model": "gpt", "choices": [choice], **more}).encode()
    response = json.loads(RESPONSES.from_chat(answer, speaking(request)))
    check_response(response)
    return dict(response)


def test_a_text_is_a_message() -> None:
    response = response_of({"role": "assistant", "content": "Hello."}, usage=USAGE)
    part = {"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}
    message = {"id": "msg_hfabc0", "type": "message", "status": "completed", "role": "assistant", "content": [part]}

    assert [message] == response["output"]
    assert ("resp_hfabc", "response", "completed", "gpt") == (
        response["id"],
        response["object"],
        response["status"],
        response["model"],
    )
    assert {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    } == response["usage"]
    assert (None, None) == (response["error"], response["incomplete_details"])
    assert "Hello." == Response.model_validate(response).output_text


def test_thoughts_text_and_calls_are_items_in_this_order() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    message = {"content": "I call.", "reasoning_content": "Hm.", "tool_calls": calls}
    response = response_of(message, "tool_calls")

    assert ["reasoning", "message", "function_call", "function_call"] == [item["type"] for item in response["output"]]
    assert [{"type": "summary_text", "text": "Hm."}] == response["output"][0]["summary"]
    assert [("c1", "f", '{"a":1}'), ("call_abc3", "g", "{}")] == [
        (item["call_id"], item["name"], item["arguments"]) for item in response["output"][2:]
    ]
    assert 4 == len({item["id"] for item in response["output"]})


def test_parts_of_thoughts_and_text() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    response = response_of({"content": [thinking, {"type": "text", "text": "Yes."}]})

    assert "Hm." == response["output"][0]["summary"][0]["text"]
    assert "Yes." == response["output"][1]["content"][0]["text"]


def test_a_refusal_is_a_part_of_the_message() -> None:
    response = response_of({"content": None, "refusal": "No."}, "content_filter")

    assert [{"type": "refusal", "refusal": "No."}] == response["output"][0]["content"]
    assert {"reason": "content_filter"} == response["incomplete_details"]


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        (None, "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("model_length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_finish_reasons(finish: str | None, status: str, details: Any) -> None:
    response = response_of({"content": "He", "reasoning_content": "Hm"}, finish)

    assert (status, details) == (response["status"], response["incomplete_details"])
    assert ["completed", status] == [item["status"] for item in response["output"]]


def test_an_answer_cut_before_it_began_has_no_items() -> None:
    assert [] == response_of({"content": ""}, "length")["output"]


def test_what_was_asked_is_repeated() -> None:
    asked = {
        "instructions": "Be\nbrief.",
        "temperature": 0.5,
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}],
        "tool_choice": "required",
        "metadata": {"a": "b"},
        "max_output_tokens": 5,
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
    }
    response = response_of({"content": "x"}, asked=asked)

    assert asked == {name: response[name] for name in asked}


def test_what_was_not_asked_has_its_default() -> None:
    response = response_of({"content": "x"}, asked={"tools": None})

    assert ([], "auto", True, {}, {"format": {"type": "text"}}, None, False) == (
        response["tools"],
        response["tool_choice"],
        response["parallel_tool_calls"],
        response["metadata"],
        response["text"],
        response["usage"],
        response["store"],
    )


def test_a_total_that_counts_more_is_kept_and_one_that_counts_less_is_not() -> None:
    assert 20 == response_of({"content": "x"}, usage={**USAGE, "total_tokens": 20})["usage"]["total_tokens"]
    assert 17 == response_of({"content": "x"}, usage={**USAGE, "total_tokens": 11})["usage"]["total_tokens"]


def test_halves_of_surrogate_pairs_are_told_as_they_came() -> None:
    assert "\ud83d" == response_of({"content": "\ud83d"})["output"][0]["content"][0]["text"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
names = st.sampled_from(["content", "reasoning_content", "refusal", "tool_calls", "function_call"])


@given(st.dictionaries(names, anything) | anything, anything, anything)
def test_whatever_is_answered_is_a_response(message: object, finish: object, usage: object) -> None:
    response_of(message, finish, usage=usage)
