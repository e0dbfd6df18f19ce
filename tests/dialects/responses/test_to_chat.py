"""Requests on the responses wire as chat completions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import ClientError
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.responses.request import tie_of
from proxy.dialects.responses.wire import RESPONSES
from tests.dialects.responses.oracle import check_chat

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}', "id": "fc_1"}
CALL_2 = {**CALL, "call_id": "c2", "name": "g", "id": "fc_2"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "one"}
OUTPUT_2 = {"type": "function_call_output", "call_id": "c2", "output": "two"}
ASSISTANT = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
}


def chat_of(given: Any = "hi", **more: Any) -> dict[str, Any]:
    body = json.dumps({"model": "m", "input": given, **more}).encode()
    chat = json.loads(msgspec.json.encode(RESPONSES.to_chat(RESPONSES.parse(body))))
    check_chat(chat)
    return dict(chat)


def messages_of(given: Any, **more: Any) -> list[dict[str, Any]]:
    return list(chat_of(given, **more)["messages"])


def called(id_: str, name: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": '{"a":1}'}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_a_text_is_what_the_user_says() -> None:
    expected = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, user("hi")]}

    assert expected == chat_of(instructions="Be brief.")


def test_messages_keep_their_roles() -> None:
    given = [
        {"role": "developer", "content": "d"},
        {"role": "system", "content": [{"type": "input_text", "text": "s"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]},
        ASSISTANT,
        {"role": "assistant", "content": "Found it."},
        {"role": "user", "content": ""},
    ]
    expected = [
        {"role": "developer", "content": "d"},
        {"role": "system", "content": "s"},
        user("u"),
        {"role": "assistant", "content": "Let me see.\n\nFound it."},
        user(""),
    ]

    assert expected == messages_of(given)


def test_images_files_and_sound_are_parts() -> None:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    expected = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]

    assert [{"role": "user", "content": expected}] == messages_of([{"role": "user", "content": content}])


def test_parallel_calls_are_one_message() -> None:
    """sub2api#2926: providers refuse calls that were made at once but stand in messages of their own."""
    expected = [
        user("hi"),
        {"role": "assistant", "content": "Let me see.", "tool_calls": [called("c1", "f"), called("c2", "g")]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    ]

    assert expected == messages_of([user("hi"), ASSISTANT, CALL, CALL_2, OUTPUT, OUTPUT_2])


def test_calls_one_after_the_other_are_two_messages() -> None:
    expected = [
        {"role": "assistant", "content": None, "tool_calls": [called("c1", "f")]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "assistant", "content": None, "tool_calls": [called("c2", "g")]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    ]

    assert expected == messages_of([CALL, OUTPUT, CALL_2, OUTPUT_2])


def test_outputs_follow_their_calls_wherever_they_stood() -> None:
    expected = [
        {"role": "assistant", "content": None, "tool_calls": [called("c1", "f")]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        user("wait"),
    ]

    assert expected == messages_of([CALL, user("wait"), OUTPUT])


def test_an_output_that_nothing_called_stands_for_itself() -> None:
    assert [{"role": "tool", "tool_call_id": "c1", "content": "one"}] == messages_of([OUTPUT])
    assert "" == messages_of([{**OUTPUT, "output": []}])[0]["content"]


def test_a_message_behind_its_call_is_the_same_turn() -> None:
    expected = [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [called("c1", "f")]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
    ]

    assert expected == messages_of([CALL, ASSISTANT, OUTPUT])


def test_pictures_from_a_tool_are_shown_by_the_user() -> None:
    parts = [
        {"type": "input_text", "text": "a picture"},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
    ]
    shown = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    expected = [
        {"role": "tool", "tool_call_id": "c1", "content": "a picture"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "user", "content": [shown]},
    ]

    assert expected == messages_of([CALL, CALL_2, {**OUTPUT, "output": parts}, OUTPUT_2])[1:]
    assert "The output is in the next message." == messages_of([CALL, {**OUTPUT, "output": parts[1:]}])[1]["content"]


def test_an_output_of_several_texts_is_a_list() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    expected = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert expected == messages_of([CALL, {**OUTPUT, "output": parts}])[1]["content"]


@pytest.mark.parametrize(
    ("thoughts", "expected"),
    [
        ({"summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]}, "a\n\nb"),
        ({"summary": [], "content": [{"type": "reasoning_text", "text": "c"}]}, "c"),
        ({"summary": [], "encrypted_content": "gAAA"}, None),
    ],
)
def test_thoughts_stand_with_what_was_said_after_them(thoughts: Any, expected: str | None) -> None:
    item = {"type": "reasoning", "id": "rs_1", **thoughts}
    message = messages_of([user("hi"), item, CALL, OUTPUT])[1]

    assert expected == message.get("reasoning_content")
    assert [called("c1", "f")] == message["tool_calls"]


def test_thoughts_alone_are_no_message() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}]}

    assert [user("hi"), user("so?")] == messages_of([user("hi"), item, user("so?")])


def test_a_refusal_stays_one() -> None:
    item = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}

    assert [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}] == messages_of([item])


def test_arguments_that_are_empty_are_an_empty_object() -> None:
    assert "{}" == messages_of([{**CALL, "arguments": ""}])[0]["tool_calls"][0]["function"]["arguments"]


def test_the_judge_finds_members_that_nobody_knows() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "x", "extra": 1}]}

    with pytest.raises(AssertionError):
        check_chat({"model": "m", "messages": [message]})


# The other fields


def test_functions_are_nested() -> None:
    tools = [
        {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        {"type": "function", "name": "g", "parameters": None, "strict": None, "defer_loading": False},
    ]
    chat = chat_of(tools=tools, tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False)
    first = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    expected = [{"type": "function", "function": first}, {"type": "function", "function": {"name": "g"}}]

    assert expected == chat["tools"]
    assert {"type": "function", "function": {"name": "f"}} == chat["tool_choice"]
    assert chat["parallel_tool_calls"] is False


def test_of_allowed_tools_the_others_are_left_out() -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    chat = chat_of(tools=tools, tool_choice=choice)

    assert [{"type": "function", "function": {"name": "g"}}] == chat["tools"]
    assert "required" == chat["tool_choice"]


@pytest.mark.parametrize("tools", [None, []])
def test_without_tools_nothing_is_said_of_them(tools: Any) -> None:
    """Upstreams refuse a choice, or a word on parallel calls, where there are none."""
    chat = chat_of(tools=tools, tool_choice="auto", parallel_tool_calls=True)

    assert {"model", "messages"} == set(chat)


def test_a_schema_is_nested() -> None:
    text = {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, "verbosity": "low"}
    chat = chat_of(text=text)
    expected = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}

    assert expected == chat["response_format"]
    assert "low" == chat["verbosity"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"format": {"type": "json_object"}}, {"type": "json_object"}),
        ({"format": {"type": "text"}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_other_formats(text: Any, expected: Any) -> None:
    assert expected == chat_of(text=text).get("response_format")


def test_what_both_wires_have_is_taken_over_and_the_rest_is_left() -> None:
    chat = chat_of(
        stream=True,
        temperature=0.5,
        top_p=0.9,
        user="u",
        service_tier="flex",
        prompt_cache_key="k",
        safety_identifier="s",
        max_output_tokens=100,
        reasoning={"effort": "low", "summary": "auto"},
        store=False,
        background=False,
        metadata={"a": "b"},
        include=["reasoning.encrypted_content"],
        truncation="auto",
        stream_options={"include_obfuscation": False},
        previous_response_id=None,
        max_tool_calls=3,
    )
    expected = {
        "model": "m",
        "messages": [user("hi")],
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "max_completion_tokens": 100,
        "reasoning_effort": "low",
    }

    assert expected == chat


def test_fields_that_nobody_knows_survive() -> None:
    request = RESPONSES.parse(b'{"model":"m","input":"hi","top_k":40}')

    assert b"40" == bytes(RESPONSES.to_chat(request)["top_k"])


NOT_CARRIED: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "file_search"}]}, "tools[0]"),
    ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
    ({"tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": 1}]}, "tools[1].name"),
    ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f", "input": 1}]}, "input[0].input"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": 5}, "tools"),
    ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"text": {"format": {"type": "grammar"}}}, "text.format"),
    ({"text": "json"}, "text"),
    ({"reasoning": "low"}, "reasoning"),
    ({"instructions": ["x"]}, "instructions"),
    ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input[0]"),
    ({"input": [5]}, "input"),
    ({"input": [{"type": 5}]}, "input[0].type"),
    ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
    ({"input": [{**CALL, "namespace": "n"}]}, "input[0].namespace"),
    ({"input": [{"type": "function_call_output", "output": ""}]}, "input[0].call_id"),
    ({"input": [{"role": "tool", "content": ""}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]}, "input[0].content[0]"),
    ({"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "u"}]}]}, "input[0].content"),
]


@pytest.mark.parametrize(("fields", "param"), NOT_CARRIED)
def test_what_has_no_counterpart_is_not_carried(fields: dict[str, Any], param: str) -> None:
    request = RESPONSES.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())

    with pytest.raises(NotCarriedError) as raised:
        RESPONSES.to_chat(request)

    assert param == raised.value.param


words = st.sampled_from(
    ["type", "role", "content", "message", "user", "assistant", "input_text", "text", "function_call", "call_id",
     "name", "arguments", "output", "function_call_output", "reasoning", "summary", "id", "function", "tools", "mode"]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=15,
)


asked = st.sampled_from(["instructions", "tools", "tool_choice", "text", "reasoning", "prompt"])


@given(st.dictionaries(asked, values), values)
def test_whatever_is_asked_nothing_else_is_raised(fields: dict[str, Any], given: Any) -> None:
    try:
        request = RESPONSES.parse(json.dumps({"model": "m", "input": given, **fields}).encode())
        tie_of(request.fields)
        msgspec.json.encode(RESPONSES.to_chat(request))
    except (ClientError, NotCarriedError):
        pass


def test_deep_nesting_is_refused() -> None:
    body = b'{"model":"m","input":' + b"[" * 5000 + b"]" * 5000 + b"}"

    with pytest.raises((ClientError, NotCarriedError)):
        RESPONSES.to_chat(RESPONSES.parse(body))


def test_a_file_is_not_fetched_however_its_name_is_spelled() -> None:
    body = b'{"model":"m","input":[{"role":"user","content":[{"type":"input_image","file\\u005fid":"f"}]}]}'

    with pytest.raises(NotCarriedError, match="file_id"):
        RESPONSES.to_chat(RESPONSES.parse(body))


def test_searches_that_agents_offer_are_left_out_and_told() -> None:
    function = {"type": "function", "name": "f", "parameters": {}}
    search = {"type": "web_search", "external_web_access": False}
    body = {"model": "m", "input": "hi", "tools": [function, search], "client_metadata": {"a": "b"}}
    request = RESPONSES.parse(json.dumps(body).encode())
    chat = RESPONSES.to_chat(request)
    assert ["f"] == [tool["function"]["name"] for tool in json.loads(bytes(chat["tools"]))]
    assert "client_metadata" not in chat
    assert ("client_metadata", "tools.web_search") == RESPONSES.dropped(request)


def test_what_openai_did_in_earlier_turns_is_left_out() -> None:
    """An agent that has searched goes on elsewhere."""
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Found."}]}
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}
    assert [user("hi"), {"role": "assistant", "content": "Found."}] == messages_of([user("hi"), searched, said])
