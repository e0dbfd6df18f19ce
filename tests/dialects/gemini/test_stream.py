"""Streams as chat events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.failure import FailureClass
from proxy.dialects.chat_events import MALFORMED
from proxy.dialects.dialect import Reading
from proxy.dialects.failures import classify_in_band
from proxy.dialects.gemini.dialect import GEMINI
from proxy.dialects.openai.chat import read_event
from proxy.dialects.registry import Quirks
from proxy.streams.splice import Splice, StreamState
from proxy.streams.sse import MAX_EVENT
from tests.dialects.gemini.wire import (
    MODEL,
    READING,
    SIGNATURE,
    call,
    chat_events,
    deltas,
    event,
    stream,
    told,
    translated,
    usage,
)

PLAIN = Quirks()
ROLE: tuple[dict[str, Any], None] = ({"role": "assistant", "content": ""}, None)


def test_a_stream_in_the_order_of_the_chat_wire() -> None:
    events = told(
        event({"text": "hm", "thought": True}, usageMetadata=usage(3, 0), responseId="r1", modelVersion="m1"),
        event({"text": "Hello"}, responseId="r2", modelVersion="m2"),
        event({"text": " there"}, finish="STOP", usageMetadata=usage(3, 2, thoughtsTokenCount=1)),
    )

    assert [
        ROLE,
        ({"reasoning_content": "hm"}, None),
        ({"content": "Hello"}, None),
        ({"content": " there"}, None),
        ({}, "stop"),
    ] == deltas(events)
    assert {("r1", 1_700_000_000, "m1")} == {(item["id"], item["created"], item["model"]) for item in events[:-1]}
    assert 3 == events[-2]["usage"]["completion_tokens"]
    assert [] == events[-2]["choices"]
    assert "[DONE]" == events[-1]


def test_what_the_stream_does_not_tell_is_known_otherwise() -> None:
    first, *_ = told(event({"text": "x"}))

    assert ("chatcmpl-abc", MODEL) == (first["id"], first["model"])


def test_the_usage_may_come_behind_the_finish_reason() -> None:
    events = told(event({"text": "x"}, finish="STOP", usageMetadata=usage(1, 1)), {"usageMetadata": usage(3, 9)})

    assert 12 == events[-2]["usage"]["total_tokens"]
    assert 1 == sum("usage" in item for item in events[:-1])


def test_the_usage_of_an_earlier_event_is_not_lost() -> None:
    events = told(event({"text": "x"}, usageMetadata=usage(3, 1)), event(finish="STOP"))

    assert 4 == events[-2]["usage"]["total_tokens"]


def test_a_stream_without_usage_has_none() -> None:
    assert "stop" == told(event({"text": "x"}, finish="STOP"))[-2]["choices"][0]["finish_reason"]


def test_calls_are_counted_over_all_events() -> None:
    """litellm#16194: the index began anew with each event."""
    reading = Reading(MODEL, "chatcmpl-abc", 1, {"_1_f": "1 f"})
    events = told(
        event(call("_1_f", {"x": 1}, id="c1")),
        event(call("g"), call("g")),
        event({"text": ""}, finish="STOP"),
        reading=reading,
    )

    assert [
        ROLE,
        ({"tool_calls": [piece(0, "c1", "1 f", '{"x":1}')]}, None),
        ({"tool_calls": [piece(1, "call_abc_1", "g", "{}")]}, None),
        ({"tool_calls": [piece(2, "call_abc_2", "g", "{}")]}, None),
        ({}, "tool_calls"),
    ] == deltas(events)


def piece(index: int, id_: str, name: str, arguments: str) -> dict[str, Any]:
    return {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_thought_signature_goes_with_its_call() -> None:
    """litellm#16893: it was lost in streams."""
    events = told(event(call("f", thoughtSignature=SIGNATURE), call("g")), event(finish="STOP"))
    first, second = (delta["tool_calls"][0] for delta, _ in deltas(events)[1:3])

    assert {"google": {"thought_signature": SIGNATURE}} == first["extra_content"]
    assert "extra_content" not in second


def test_text_behind_a_finish_reason_is_not_lost_and_there_is_one_finish() -> None:
    """Models of old told STOP with every event."""
    events = told(event({"text": "a"}, finish="STOP"), event({"text": "b"}, finish="STOP"))

    assert [ROLE, ({"content": "a"}, None), ({}, "stop"), ({"content": "b"}, None)] == deltas(events)


@pytest.mark.parametrize(
    ("reason", "finish"), [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("CONTINUATION", "length")]
)
def test_why_a_stream_ends(reason: str, finish: str) -> None:
    assert ({}, finish) == deltas(told(event({"text": "x"}, finish=reason)))[-1]


def test_a_refusal_says_why() -> None:
    events = told(event({"text": "x"}), event(finish="SAFETY", message="not this"))

    assert ({"refusal": "not this"}, "content_filter") == deltas(events)[-1]


@pytest.mark.parametrize("data", [b"", stream(event({"text": "x"})), stream(event({"text": "x"}))[:-10]])
def test_a_stream_without_a_finish_reason_has_no_end(data: bytes) -> None:
    translator = GEMINI.translator(READING)
    translator.feed(data)

    assert b"" == translator.end()


def test_nothing_comes_behind_the_end() -> None:
    translator = GEMINI.translator(READING)
    translator.feed(stream(event({"text": "x"}, finish="STOP")))
    translator.end()

    assert b"" == translator.feed(stream(event({"text": "y"}))) + translator.end()


def test_the_last_event_may_lack_its_blank_line() -> None:
    data = stream(event({"text": "x"}), event({"text": "y"}, finish="STOP"))

    assert translated(data) == translated(data.removesuffix(b"\r\n\r\n"))


ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "data",
    [
        stream(ERROR),
        stream([ERROR]),
        # Google's own package reads errors that come as bare lines of JSON.
        json.dumps(ERROR, indent=2).encode(),
        json.dumps(ERROR, indent=2).replace("\n", "\r\n").encode() + b"\r\n",
        json.dumps([ERROR], indent=2).encode(),
        json.dumps([ERROR]).encode() + b"\n",
        b"[" + json.dumps(ERROR, indent=2).encode() + b"\n]\n",
    ],
)
@pytest.mark.parametrize("before", [b"", stream(event({"text": "x"}))])
def test_an_error_in_a_stream(before: bytes, data: bytes) -> None:
    events = chat_events(translated(before + data))

    assert ERROR == events[-1]
    assert len(deltas(events)) == (2 if before else 0)
    assert FailureClass.OVERLOADED is classify_in_band("gemini", json.dumps(events[-1]).encode(), 0.0).kind


def test_a_bare_error_is_told_before_the_stream_ends() -> None:
    translator = GEMINI.translator(READING)

    assert [ERROR] == chat_events(translator.feed(json.dumps(ERROR, indent=2).encode() + b"\n"))
    assert b"" == translator.feed(stream(event({"text": "x"}, finish="STOP"))) + translator.end()


def test_a_malformed_answer_is_an_error_and_nothing_of_its_event_is_shown() -> None:
    events = told(event({"text": "x"}, finish="MALFORMED_FUNCTION_CALL", message="print(x"))

    assert ["finish_malformed_function_call"] == [item["error"]["code"] for item in events]
    assert FailureClass.BAD_ANSWER is classify_in_band("gemini", json.dumps(events[0]).encode(), 0.0).kind


def test_a_refused_prompt() -> None:
    events = told({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no\nno"}})

    assert ["Gemini: no\nno (SAFETY)"] == [item["error"]["message"] for item in events]
    assert FailureClass.CONTENT_REFUSED is classify_in_band("gemini", json.dumps(events[0]).encode(), 0.0).kind


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: 5\n\n",
        b"data: []\n\n",
        b'data: {"candidates": 5}\n\n',
        b'data: {"candidates": [{"content": {"parts": [{"text": 5}]}}]}\n\n',
        b'data: {"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":"\xff"}}}]}}]}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"<html>\n</html>\n",
        b"x" * (MAX_EVENT + 1),
    ],
)
def test_what_is_not_understood_is_malformed_and_the_end(data: bytes) -> None:
    translator = GEMINI.translator(READING)

    assert MALFORMED == translator.feed(data) + translator.end()
    assert b"" == translator.feed(stream(event({"text": "x"}, finish="STOP"))) + translator.end()


def test_comments_other_fields_and_line_ends_mean_nothing() -> None:
    events = (event({"text": "x"}), event({"text": "y"}, finish="STOP"))
    noise = b"\xef\xbb\xbf: hello\nevent: x\nid: 5\nretry: 1\n\n" + stream(events[0], end="\n") + b": x\r\n\r\n"

    assert translated(stream(*events)) == translated(noise + stream(events[1], end="\n"))


def played(*events: object) -> Splice:
    """The stream machine, after it was fed with what a translator makes of a stream."""
    splice = Splice(
        lambda data: read_event(data, PLAIN), lambda data: classify_in_band("gemini", data, 0.0), show_usage=True
    )
    translator = GEMINI.translator(READING)
    splice.feed(translator.feed(stream(*events)))
    splice.feed(translator.end())
    splice.end()
    return splice


def test_the_stream_machine_is_content() -> None:
    splice = played(event({"text": "x"}), event(call("f"), finish="STOP", usageMetadata=usage(3, 4)))

    assert StreamState.DONE is splice.state
    assert b'"total_tokens":7' in (splice.usage or b"")
    assert StreamState.DONE is played(event(finish="SAFETY")).state


def test_the_stream_machine_finds_what_is_broken() -> None:
    cut, empty, error = played(event({"text": "x"})), played(event(finish="STOP")), played(event({"text": "x"}), ERROR)

    assert ["truncated", "empty_answer", "in_band_error"] == [
        splice.failure.code for splice in (cut, empty, error) if splice.failure is not None
    ]
