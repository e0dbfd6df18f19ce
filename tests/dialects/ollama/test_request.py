"""Requests to Ollama, read with the types of its own client."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ollama._types import ChatRequest

from proxy.dialects.dialect import ChatAsked, NotCarriedError
from proxy.dialects.ollama.dialect import OLLAMA
from tests.dialects.chat_oracle import JSON, PIXEL, asked, conversations, knowing, written_or_refused

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": True,
    },
}


def sent(question: ChatAsked) -> dict[str, Any]:
    out = OLLAMA.write(question)
    assert "/api/chat" == out.path
    body = json.loads(b"".join(out.body))
    ChatRequest.model_validate(body)
    # `truncate` and `shift` are the server's, though its client does not know them yet.
    assert set() == body.keys() - ChatRequest.model_fields.keys() - {"truncate", "shift"}
    return body


def says(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


def test_the_least() -> None:
    expected = {
        "model": "qwen3:8b",
        "messages": [{"role": "user", "content": "hi"}],
        "truncate": False,
        "shift": False,
        "stream": False,
        "options": {},
    }

    assert expected == sent(asked({}, "qwen3:8b", facts=knowing(context=40960)))


def test_options() -> None:
    fields = {
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": "END", "min_p": 0.1,
        "presence_penalty": 0.1, "frequency_penalty": 0.2, "n": 1, "stream_options": {"include_usage": True},
    }  # fmt: skip
    question = asked(fields, stream=True, options={"num_ctx": 16384, "keep_alive": "30m"})

    body = sent(question)

    expected = {
        "num_ctx": 16384, "num_predict": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": ["END"],
        "min_p": 0.1, "presence_penalty": 0.1, "frequency_penalty": 0.2,
    }  # fmt: skip
    assert expected == body["options"]
    assert (True, "30m") == (body["stream"], body["keep_alive"])
    assert () == OLLAMA.write(question).dropped


# ollama#18575: the compatible wire does not honour the newer name of the cap.
def test_either_name_of_the_cap() -> None:
    assert 5 == sent(asked({"max_completion_tokens": 5}))["options"]["num_predict"]
    assert 5 == sent(asked({"max_completion_tokens": 5, "max_tokens": 6}))["options"]["num_predict"]
    assert 6 == sent(asked({"max_completion_tokens": None, "max_tokens": 6}))["options"]["num_predict"]


@pytest.mark.parametrize(("given_", "expected"), [("5m", "5m"), ("-1", -1), ("0", 0), ("1.5", 1.5)])
def test_keep_alive_is_a_duration_or_seconds(given_: str, expected: object) -> None:
    assert expected == sent(asked({}, options={"keep_alive": given_}))["keep_alive"]


def test_what_is_left_out_is_told() -> None:
    fields = {
        "user": "u", "logit_bias": {"5": 1}, "metadata": {}, "store": False, "parallel_tool_calls": False,
        "temperature": 1, "service_tier": None, "num_ctx": 99, "messages": [],
    }  # fmt: skip
    question = asked(fields, without={"temperature"})

    assert ("user", "logit_bias", "metadata", "store", "parallel_tool_calls", "temperature", "num_ctx") == OLLAMA.write(
        question
    ).dropped
    assert {} == sent(question)["options"]


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("qwen3:8b", "none", False),
        ("qwen3:8b", "minimal", True),
        ("qwen3:8b", "high", True),
        ("gpt-oss:20b", "none", "low"),
        ("gpt-oss:20b", "medium", "medium"),
        ("gpt-oss:20b", "xhigh", "high"),
    ],
)
def test_thinking(model: str, effort: str, expected: bool | str) -> None:
    assert expected == sent(asked({"reasoning_effort": effort}, model))["think"]


def test_a_model_that_cannot_think_is_not_asked_to() -> None:
    question = asked({"reasoning_effort": "high"}, facts=knowing(reasoning=False))

    assert "think" not in sent(question)
    assert ("reasoning_effort",) == OLLAMA.write(question).dropped


def test_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asking = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}

    assert schema == sent(asked({"response_format": asking}))["format"]
    assert "json" == sent(asked({"response_format": {"type": "json_object"}}))["format"]
    assert "json" == sent(asked({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}))["format"]
    assert "format" not in sent(asked({"response_format": {"type": "text"}}))


def test_tools() -> None:
    function = {name: value for name, value in WEATHER["function"].items() if name != "strict"}
    expected = [{"type": "function", "function": function}]

    assert expected == sent(asked({"tools": [WEATHER], "tool_choice": "auto"}))["tools"]
    assert "tools" not in sent(asked({"tools": [WEATHER], "tool_choice": "none"}))
    bare = {"type": "function", "function": {"name": "now"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER]}}
    assert expected == sent(asked({"tools": [WEATHER, bare], "tool_choice": allowed}))["tools"]
    assert {"type": "object", "properties": {}} == sent(asked({"tools": [bare]}))["tools"][0]["function"]["parameters"]


def test_logprobs() -> None:
    body = sent(asked({"logprobs": True, "top_logprobs": 2}))

    assert (True, 2) == (body["logprobs"], body["top_logprobs"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        (says({"type": "image_url", "image_url": {"url": "https://a/b"}}), "messages"),
        (says({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}), "messages"),
        (says({"type": "file", "file": {"file_id": "f"}}), "messages"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "oracle", "content": "x"}]}, "messages"),
        ({"messages": [5]}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"stop": 5}, "stop"),
        ({"messages": [{"role": "user", "content": [[]]}]}, "messages"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(NotCarriedError) as refused:
        OLLAMA.write(asked(fields))

    assert param == refused.value.param


def test_a_conversation_with_calls() -> None:
    conversation = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
                {"id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
    ]
    calls = [
        {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Rome"}}},
        {"id": "c2", "function": {"name": "now", "arguments": {}}},
    ]

    expected = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": calls},
        {"role": "tool", "content": "noon", "tool_name": "now", "tool_call_id": "c2"},
        {"role": "tool", "content": "sunny", "tool_name": "weather", "tool_call_id": "c1"},
    ]
    assert expected == sent(asked({"messages": conversation}))["messages"]


# litellm#20543: several objects one after the other are no object.
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}), (None, {}), ("  ", {}), ('{"a":1}', {"a": 1}), ({"a": 1}, {"a": 1}),
        ('{"a":1}{"b":2}', {"_raw": '{"a":1}{"b":2}'}), ("[1]", {"_raw": "[1]"}), ('"x"', {"_raw": '"x"'}),
        ('{"a":', {"_raw": '{"a":'}), ('{"a": 12345678901234567890123}', {"a": 12345678901234567890123}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    ],
)  # fmt: skip
def test_arguments_are_an_object(arguments: object, expected: dict[str, Any]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = sent(asked({"messages": [{"role": "assistant", "tool_calls": [call]}]}))

    assert expected == body["messages"][0]["tool_calls"][0]["function"]["arguments"]


def test_images() -> None:
    plain = "data:text/plain,a%20b"
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
        {"type": "image_url", "image_url": plain},
    ]

    expected = [{"role": "user", "content": "see", "images": [PIXEL, "YSBi"]}]
    assert expected == sent(asked({"messages": [{"role": "user", "content": parts}]}))["messages"]


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_any_conversation_arrives(conversation: list[dict[str, Any]]) -> None:
    arrived = sent(asked({"messages": conversation}))["messages"]

    assert [message["role"] for message in conversation] == [message["role"] for message in arrived]
    names: dict[str, str] = {}
    for before, after in zip(conversation, arrived, strict=True):
        content = before["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert "\n".join(part["text"] for part in parts if "text" in part) == after["content"]
        assert sum("image_url" in part for part in parts) == len(after.get("images", []))
        for call, sent_ in zip(before.get("tool_calls", []), after.get("tool_calls", []), strict=True):
            names[call["id"]] = call["function"]["name"]
            assert call["id"] == sent_["id"]
            assert call["function"]["name"] == sent_["function"]["name"]
            assert json.loads(call["function"]["arguments"]) == sent_["function"]["arguments"]
        if before["role"] == "tool":
            assert (before["tool_call_id"], names[before["tool_call_id"]]) == (
                after["tool_call_id"],
                after["tool_name"],
            )


NAMES = [
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "max_tokens",
    "reasoning_effort",
    "n",
    "modalities",
]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        JSON
        | st.lists(
            st.dictionaries(
                st.sampled_from(["role", "content", "tool_calls", "type", "function", "image_url", "text"]), JSON
            )
        ),
    )
)
def test_nothing_but_a_refusal_comes_of_garbage(fields: dict[str, Any]) -> None:
    written_or_refused(OLLAMA.write, fields)


def test_deep_nesting() -> None:
    deep = "[" * 100_000
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}}

    assert {"_raw": deep} == sent(asked({"messages": [{"role": "assistant", "tool_calls": [call]}]}))["messages"][0][
        "tool_calls"
    ][0]["function"]["arguments"]
