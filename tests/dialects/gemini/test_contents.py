"""Messages as contents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy.dialects.dialect import ChatAsked, NotCarriedError
from proxy.dialects.gemini.contents import NO_SIGNATURE
from proxy.dialects.gemini.dialect import GEMINI
from tests.dialects.gemini.wire import HI, MODEL, OLD, SIGNATURE, asking, contents, sent


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def calling(*calls: tuple[str, str, str], signature: str | None = None, **more: object) -> dict[str, Any]:
    made: list[dict[str, Any]] = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in calls
    ]
    if signature is not None:
        made[0]["extra_content"] = {"google": {"thought_signature": signature}}
    return {"role": "assistant", "content": None, "tool_calls": made, **more}


def result(id_: str, content: object, **more: object) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content, **more}


def text(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": item} for item in texts]}


def test_leading_system_messages_are_the_system_instruction() -> None:
    body = sent([{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, *HI])

    assert {"parts": [{"text": "A"}, {"text": "B"}]} == body["systemInstruction"]
    assert [text("user", "Hi")] == body["contents"]


def test_a_later_system_message_stays_in_its_place() -> None:
    found = contents(user("a"), {"role": "assistant", "content": "b"}, {"role": "system", "content": "C"}, user("d"))

    assert [text("user", "a"), text("model", "b"), text("user", "<system>\nC\n</system>", "d")] == found


def test_a_conversation_of_the_system_alone_is_asked_by_the_user() -> None:
    assert {"contents": [text("user", "A")]} == sent([{"role": "system", "content": "A"}])


@pytest.mark.parametrize("messages", [[], [user("")], [{"role": "assistant", "content": None}]])
def test_there_is_always_something_to_answer(messages: list[object]) -> None:
    assert [text("user", " ")] == sent(messages)["contents"]


def test_who_goes_on_speaking_has_one_turn() -> None:
    found = contents(user("a"), user("b"), {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "d"})

    assert [text("user", "a", "b"), text("model", "c", "d")] == found


def test_an_answer_that_was_begun_is_the_models_last_turn() -> None:
    assert text("model", "It is") == contents(user("a"), {"role": "assistant", "content": "It is"})[-1]


def test_a_conversation_begins_with_the_user() -> None:
    assert [text("user", " "), text("model", "a")] == contents({"role": "assistant", "content": "a"})


def test_texts_in_parts_refusals_and_empty_texts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}]
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": "never"}

    assert [text("user", "a", "b"), text("model", "no", "never")] == contents(
        {"role": "user", "content": parts}, refused
    )


def test_calls_and_their_results_in_one_turn_each() -> None:
    found = contents(
        user("a"),
        calling(("1", "sum", '{"x": 1}'), ("2", "look", ""), signature=SIGNATURE, reasoning_content="hm"),
        result("2", '{"seen": true}'),
        result("1", "three"),
        user("b"),
    )

    assert [
        text("user", "a"),
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "sum", "args": {"x": 1}, "id": "1"}, "thoughtSignature": SIGNATURE},
                {"functionCall": {"name": "look", "args": {}, "id": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "look", "response": {"seen": True}, "id": "2"}},
                {"functionResponse": {"name": "sum", "response": {"result": "three"}, "id": "1"}},
                {"text": "b"},
            ],
        },
    ] == found


@pytest.mark.parametrize(
    ("model", "expected"), [(MODEL, NO_SIGNATURE), ("models/gemini-4-x", NO_SIGNATURE), (OLD, None)]
)
def test_the_first_call_of_a_turn_is_signed_for_those_who_check(model: str, expected: str | None) -> None:
    turn = contents(user("a"), calling(("1", "f", "{}"), ("2", "f", "{}")), model=model)[1]

    assert [expected, None] == [part.get("thoughtSignature") for part in turn["parts"]]


def signed(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


@pytest.mark.parametrize(
    "extra",
    [
        None,
        1,
        {"google": 1},
        {"google": {"thought_signature": 1}},
        {"x": {}},
        signed(""),
        signed("c2lnb"),
        signed("é==="),
    ],
)
def test_a_strange_signature_is_none(extra: object) -> None:
    message = calling(("1", "f", "{}"))
    message["tool_calls"][0]["extra_content"] = extra

    assert NO_SIGNATURE == contents(user("a"), message)[1]["parts"][0]["thoughtSignature"]


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("{}", {}),
        (" ", {}),
        (None, {}),
        ({"x": 1}, {"x": 1}),
        ('{"x": 1.50, "y": "\\ud83d\\ude00"}', {"x": 1.5, "y": "😀"}),
        ("[1]", {"_raw": "[1]"}),
        ('{"x": 1}{"x": 2}', {"_raw": '{"x": 1}{"x": 2}'}),  # litellm#20543
        ('{"x"', {"_raw": '{"x"'}),
    ],
)
def test_arguments_are_an_object(arguments: Any, args: object) -> None:
    assert args == contents(user("a"), calling(("1", "f", arguments)))[1]["parts"][0]["functionCall"]["args"]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("", {"result": ""}),
        (None, {"result": ""}),
        ("fine", {"result": "fine"}),
        ("[1, 2]", {"result": "[1, 2]"}),
        ('{"a": {"b": [1]}}', {"a": {"b": [1]}}),
        ('{"a"', {"result": '{"a"'}),
        ([{"type": "text", "text": "one "}, {"type": "text", "text": "two"}], {"result": "one two"}),
        # litellm#38223, vercel/ai#14369
        ('{"a": {"$ref": "#/$defs/X"}}', {"result": '{"a": {"$ref": "#/$defs/X"}}'}),
        ('{"a": {"\\u0024ref": "#/x"}}', {"result": '{"a": {"\\u0024ref": "#/x"}}'}),
    ],
)
def test_results_are_an_object_without_references(content: object, response: object) -> None:
    found = contents(user("a"), calling(("1", "f", "{}")), result("1", content))

    assert response == found[2]["parts"][0]["functionResponse"]["response"]


def test_a_second_result_for_one_call_is_left_out_but_ids_may_come_again() -> None:
    turn = [calling(("1", "f", "{}")), result("1", "x"), result("1", "x")]  # picoclaw#1793
    found = contents(user("a"), *turn, *turn)

    assert [1, 1, 1, 1, 1] == [len(content["parts"]) for content in found]


def test_a_result_that_nobody_asked_for_is_told_as_text() -> None:
    """As a result it is refused: there must be as many as calls before it."""
    asked = (user("a"), calling(("1", "look", "{}")), result("1", "x"), result("9", "y", name="look"))
    first, *told = contents(*asked)[2]["parts"]

    assert "1" == first["functionResponse"]["id"]
    assert [{"text": "<tool_result>"}, {"text": "y"}, {"text": "</tool_result>"}] == told


def test_a_result_that_does_not_say_of_what_has_a_name() -> None:
    part = contents(user("a"), {"role": "tool", "content": "x"})[0]["parts"][1]

    assert {"name": "tool", "response": {"result": "x"}} == part["functionResponse"]


def test_an_image_in_a_result() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages = [user("a"), calling(("1", "f", "{}")), result("1", [{"type": "text", "text": "see"}, image])]
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}

    new, old = contents(*messages)[2]["parts"], contents(*messages, model=OLD)[2]["parts"]

    assert [part] == new[0]["functionResponse"]["parts"] and len(new) == 1
    assert "parts" not in old[0]["functionResponse"] and [part] == old[1:]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "f", "content": "x"},
        {"role": "assistant", "content": None, "audio": {"id": "a"}},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "user", "content": [{"type": "container_upload"}]},
        {"role": "user", "content": 5},
        {"role": "user", "content": [{"type": "image_url"}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"content": "x"},
        "x",
    ],
)
def test_what_cannot_be_carried_over_is_said(message: object) -> None:
    with pytest.raises(NotCarriedError) as raised:
        GEMINI.write(asking([message]))

    assert "messages" == raised.value.param


def test_halves_of_surrogate_pairs_do_no_harm() -> None:
    messages = Raw(json.dumps([user("a \ud83d b"), user("\ud83d\ude00")]).encode())
    written = GEMINI.write(ChatAsked({"messages": messages}, MODEL))

    parts = json.loads(b"".join(written.body))["contents"][0]["parts"]
    assert [{"text": "a \ufffd b"}, {"text": "😀"}] == parts
