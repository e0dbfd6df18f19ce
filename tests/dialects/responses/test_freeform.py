"""Tools that take any text, such as those by which agents patch files, at models that know functions only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState

from proxy.dialects.chat_events import DONE, ChatEvents, chat_completion, tool_call
from proxy.dialects.responses.freeform import arguments_of, input_of, names_in
from proxy.dialects.responses.wire import RESPONSES
from tests.dialects.responses.oracle import EVENT, check_response, events_of, speaking

PATCH = '*** Begin Patch\n+ "a" \\ é\n*** End Patch'
FORMAT = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
TOOL = {"type": "custom", "name": "apply_patch", "description": "Patches.", "format": FORMAT}
OTHER = {"type": "function", "name": "f", "parameters": {"type": "object"}}
BODY: dict[str, Any] = {"model": "route", "input": "hi", "tools": [OTHER, TOOL]}
ASKED = RESPONSES.parse(json.dumps(BODY).encode())
ARGUMENTS = json.dumps({"input": PATCH})


def chat(**more: Any) -> dict[str, Any]:
    fields = RESPONSES.to_chat(RESPONSES.parse(json.dumps({**BODY, **more}).encode()))
    return {name: json.loads(bytes(value)) for name, value in fields.items()}


def test_a_tool_is_a_function_of_one_text() -> None:
    function = chat()["tools"][1]["function"]
    assert ("apply_patch", "Patches.") == (function["name"], function["description"])
    assert ["input"] == function["parameters"]["required"]
    assert "lark grammar:\nstart: x" in function["parameters"]["properties"]["input"]["description"]


def test_it_can_be_the_one_to_be_called() -> None:
    choice = chat(tool_choice={"type": "custom", "name": "apply_patch"})["tool_choice"]
    assert {"type": "function", "function": {"name": "apply_patch"}} == choice


def test_earlier_calls_and_their_results() -> None:
    call = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "apply_patch", "input": PATCH}
    output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."}
    _, called, answered = chat(input=[{"role": "user", "content": "hi"}, call, output])["messages"]
    function = called["tool_calls"][0]["function"]
    assert ("apply_patch", {"input": PATCH}) == (function["name"], json.loads(function["arguments"]))
    assert {"role": "tool", "tool_call_id": "c1", "content": "Done."} == answered


@pytest.mark.parametrize(("arguments", "text"), [(ARGUMENTS, PATCH), (PATCH, PATCH), ("{}", "{}")])
def test_a_call_in_a_whole_answer(arguments: str, text: str) -> None:
    """What the model wrote in place of an object goes to the tool as it is."""
    calls = [tool_call("c1", "apply_patch", arguments), tool_call("c2", "f", "{}")]
    answer = chat_completion("chatcmpl-1", 1, "m", {"tool_calls": calls}, "tool_calls", None)
    first, second = check_response(json.loads(RESPONSES.from_chat(answer, speaking(ASKED)))).output
    assert ("custom_tool_call", "c1", "apply_patch", text) == (first.type, first.call_id, first.name, first.input)
    assert "function_call" == second.type


def test_a_call_in_a_stream() -> None:
    """OpenAI's own client understands the events, and the last one repeats what they told."""
    events = ChatEvents("chatcmpl-1", 1, "m")
    half = len(ARGUMENTS) // 2
    pieces = [
        events.call(0, "c1", "apply_patch"),
        *(events.arguments(0, p) for p in (ARGUMENTS[:half], ARGUMENTS[half:])),
    ]
    encoder = RESPONSES.encoder(speaking(ASKED))
    told = events_of(b"".join(map(encoder.feed, [events.role(), *pieces, events.finish("tool_calls"), DONE])))
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in told:
        state.handle_event(EVENT.validate_python(event))
    names = [event["type"].removeprefix("response.") for event in told[2:]]
    delta = ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    assert ["output_item.added", *delta, "output_item.done", "completed"] == names
    assert [PATCH, PATCH] == [told[3]["delta"], told[4]["input"]]
    assert {1} == {len({event["item"]["id"] for event in told if "item" in event})}
    assert [PATCH] == [item["input"] for item in told[-1]["response"]["output"]]


@given(st.text())
def test_there_and_back(text: str) -> None:
    assert text == input_of(json.loads(bytes(arguments_of(Raw(json.dumps(text).encode())))))


@pytest.mark.parametrize("raw", [b"null", b'"custom"', b'[{"type":"custom"},1]', b'[{"type":"custom","name":null}]'])
def test_what_names_no_tool(raw: bytes) -> None:
    assert frozenset() == names_in(Raw(raw))
