"""What was said, read from the events that were sent."""

import json
from typing import Any

import pytest

from proxy.dialects.openai.said import condense
from proxy.streams.transcript import Said


def event(delta: dict[str, Any], **members: Any) -> bytes:
    chunk = {"id": "c", "created": 7, "model": "m", "choices": [{"index": 0, "delta": delta, **members}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def read(*events: bytes) -> Said:
    said = Said()
    condense(b"".join(events), said)
    return said


ROLE = event({"role": "assistant", "content": ""})


def test_text_and_who_says_it() -> None:
    said = read(ROLE, event({"content": "Some"}), event({"content": " words"}), b"data: [DONE]\n\n")

    assert "Some words" == said.text
    assert 2 == said.pieces
    assert {"id": b'"c"', "created": b"7", "model": b'"m"'} == said.identity
    assert set() == said.others


@pytest.mark.parametrize(
    "odd",
    [
        b": a comment\n\n",
        b"event: message\ndata: {}\n\n",
        b'data: {"choices": [], "usage": {}}\n\n',
        b'data: {"choices":\ndata: []}\n\n',
        b'data: {"choices": null}\n\n',
    ],
)
def test_what_stands_between(odd: bytes) -> None:
    said = read(ROLE, odd, event({"content": "Some"}), odd, event({"content": " words"}))

    assert "Some words" == said.text
    assert b'"c"' == said.identity["id"]


def test_blocks_add_up() -> None:
    said = Said()
    condense(ROLE + event({"content": "Some"}), said)
    condense(event({"content": " words"}), said)

    assert ("Some words", 2, b'"c"') == (said.text, said.pieces, said.identity["id"])


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_no_text(name: str) -> None:
    said = read(ROLE, event({name: "hm"}), event({"content": "So"}))

    assert ("So", 2, 1, 1) == (said.text, said.reasoning, said.pieces, said.thoughts)


def test_reasoning_and_text_in_one_event() -> None:
    said = read(event({"content": "So", "reasoning_content": "hm"}))

    assert ("So", 2) == (said.text, said.reasoning)


@pytest.mark.parametrize(
    ("delta", "other"),
    [
        ({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}, "tool_calls"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"refusal": "No."}, "refusal"),
        ({"audio": {"data": "x"}}, "audio"),
        ({"content": [{"type": "image_url", "image_url": {}}]}, "parts"),
    ],
)
def test_what_else_is_said(delta: dict[str, Any], other: str) -> None:
    assert {other} == read(ROLE, event(delta)).others


def test_what_says_nothing_is_nothing_else() -> None:
    empty = event({"content": None, "tool_calls": [], "refusal": None, "audio": None}, logprobs=None)

    assert set() == read(empty, event({"refusal": ""})).others


def test_log_probabilities() -> None:
    assert {"logprobs"} == read(event({"content": "a"}, logprobs={"content": [{"token": "a"}]})).others
    assert set() == read(event({"content": "a"}, logprobs={"content": None, "refusal": None})).others


def test_parts_of_text_and_thought() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "So"}]
    said = read(event({"content": parts}))

    assert "So" == said.text
    assert said.reasoning
    assert set() == said.others


def test_halves_of_a_character() -> None:
    said = read(event({"content": "a\ud83c"}), event({"content": "\udf89b"}), event({"content": "c"}))

    assert "a\N{PARTY POPPER}bc" == said.text
    assert 3 == said.pieces


def test_a_name_is_what_is_no_empty_one() -> None:
    azure = b'data: {"id": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}\n\n'

    assert b'"c"' == read(azure, ROLE).identity["id"]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": [1]},
        {"content": ["s"]},
        {"content": [None]},
        {"content": 7},
        {"content": {"text": 1}},
        {"content": [{"type": "text", "text": 5}, {"type": None}]},
    ],
)
def test_what_no_wire_allows_is_no_text(delta: dict[str, Any]) -> None:
    assert "" == read(ROLE, event(delta)).text
    assert read(ROLE, event(delta)).others


def test_an_empty_text_part_is_nothing() -> None:
    said = read(event({"content": [{"type": "text", "text": None}, {"type": "text", "text": "x"}]}))

    assert ("x", set()) == (said.text, said.others)


@pytest.mark.parametrize(
    "odd", [b"data: {\n\n", b"data: []\n\n", b'data: {"choices": [7]}\n\n', b'data: {"choices": 7}\n\n']
)
def test_what_cannot_be_read_is_noted(odd: bytes) -> None:
    said = read(ROLE, event({"content": "a"}), odd)

    assert ("a", {"unreadable"}) == (said.text, said.others)


def test_empty_calls_are_no_calls() -> None:
    empty = {"content": "a", "function_call": {"name": "", "arguments": ""}, "tool_calls": [{"index": 0}]}

    assert set() == read(event(empty)).others
