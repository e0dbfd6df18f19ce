"""Answers and events of upstreams that speak Anthropic's language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.messages.passing import MessagesEvents, read_message
from proxy.dialects.openai.chat import Completion
from proxy.streams.event_view import SAYS, EventKind, EventView
from proxy.telemetry.usage import Usage, read_usage

TEXT = {"type": "text", "text": "Hello"}


def body(**more: Any) -> bytes:
    its = {"id": "msg_1", "type": "message", "role": "assistant", "content": [TEXT], "stop_reason": "end_turn", **more}
    return json.dumps(its).encode()


def view(**event: Any) -> EventView:
    return MessagesEvents()(json.dumps(event).encode())


def test_a_good_answer_goes_on_as_it_came() -> None:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    received = body(usage=usage)
    read = read_message(received)
    assert isinstance(read, Completion)
    assert received is read.body
    assert {
        "prompt_tokens": 125,
        "completion_tokens": 7,
        "total_tokens": 132,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 3},
    } == json.loads(read.usage or b"")


@pytest.mark.parametrize(
    ("received", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"<html>Bad gateway</html>", "invalid_json"),
        (b'{"type":"message","content":[', "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"hello":1}', "wrong_schema"),
        (b"[]", "wrong_schema"),
        (b'{"type":"message","content":"text"}', "wrong_schema"),
        (body(content=[]), "empty_answer"),
        (body(content=[{"type": "text", "text": ""}]), "empty_answer"),
        (body(content=[], stop_reason=None), "empty_answer"),
        (body(content=[], stop_reason="tool_use"), "empty_answer"),
        (body(content=[], stop_reason="model_context_window_exceeded"), "empty_answer"),
        (b'{"error":{"message":"no"}}', "in_band_error"),
    ],
)
def test_what_is_no_answer(received: bytes, code: str) -> None:
    read = read_message(received)
    assert isinstance(read, Failure)
    assert code == read.code


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "pause_turn", "stop_sequence"])
def test_what_may_be_empty(reason: str) -> None:
    assert isinstance(read_message(body(content=[], stop_reason=reason)), Completion)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "\ud83d"},
    ],
)
def test_what_says_something(block: dict[str, Any]) -> None:
    assert isinstance(read_message(body(content=[block])), Completion)


def test_an_error_in_disguise_is_what_it_says() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    read = read_message(json.dumps(error).encode())
    assert isinstance(read, Failure)
    assert (FailureClass.OVERLOADED, "Overloaded") == (read.kind, read.message)


DELTA = "content_block_delta"


@pytest.mark.parametrize(
    ("event", "its"),
    [
        ({"type": "message_start", "message": {}}, EventView(EventKind.NO_CONTENT, (0,))),
        ({"type": "ping"}, EventView(EventKind.NO_CONTENT)),
        ({"type": "something_new", "index": 4}, EventView(EventKind.NO_CONTENT)),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            EventView(EventKind.NO_CONTENT, (0,)),
        ),
        ({"type": "content_block_start", "index": 0, "content_block": TEXT}, SAYS),
        (
            {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f"}},
            EventView(EventKind.CONTENT, (0,), calls=(2,)),
        ),
        ({"type": DELTA, "index": 0, "delta": {"type": "text_delta", "text": "a"}}, SAYS),
        ({"type": DELTA, "index": 0, "delta": {"type": "thinking_delta", "thinking": "a"}}, SAYS),
        (
            {"type": DELTA, "index": 0, "delta": {"type": "text_delta", "text": ""}},
            EventView(EventKind.NO_CONTENT, (0,)),
        ),
        (
            {"type": DELTA, "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
            EventView(EventKind.NO_CONTENT, (0,)),
        ),
        (
            {"type": "content_block_start", "index": 2, "content_block": {"type": "server_tool_use", "name": "s"}},
            SAYS,
        ),
        (
            {"type": DELTA, "index": 1, "delta": {"type": "input_json_delta", "partial_json": ""}},
            EventView(EventKind.NO_CONTENT, (0,)),
        ),
        ({"type": "content_block_stop", "index": 0}, EventView(EventKind.NO_CONTENT)),
        (
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            EventView(EventKind.NO_CONTENT, (0,), (0,)),
        ),
        (
            {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
            EventView(EventKind.NO_CONTENT, (0,), (0,), may_be_empty=True),
        ),
        ({"type": "message_delta", "delta": {}}, EventView(EventKind.NO_CONTENT, (0,))),
        ({"type": "message_stop"}, EventView(EventKind.DONE)),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, EventView(EventKind.ERROR)),
        ({"error": {"message": "x"}}, EventView(EventKind.ERROR)),
        ({"type": DELTA, "index": 0}, EventView(EventKind.MALFORMED)),
        ({"type": DELTA, "index": "0", "delta": {}}, EventView(EventKind.MALFORMED)),
        ({"hello": 1}, EventView(EventKind.MALFORMED)),
    ],
)
def test_events(event: dict[str, Any], its: EventView) -> None:
    assert its == view(**event)


def test_pieces_of_calls_that_a_client_answers_are_pieces_of_calls() -> None:
    read = MessagesEvents()
    views = []
    for index, type_ in enumerate(("tool_use", "server_tool_use", "tool_use")):
        block = {"type": type_, "id": "t", "name": "f", "input": {}}
        read(json.dumps({"type": "content_block_start", "index": index, "content_block": block}).encode())
        delta = {"type": "input_json_delta", "partial_json": "{"}
        views.append(read(json.dumps({"type": DELTA, "index": index, "delta": delta}).encode()))
    assert [(0,), (), (2,)] == [view.calls for view in views]
    assert {EventKind.CONTENT} == {view.kind for view in views}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"type":"ping","a":"\xff"}', b"[" * 100_000])
def test_broken_events(data: bytes) -> None:
    assert EventView(EventKind.MALFORMED) == MessagesEvents()(data)


def test_plain_events_have_the_view_that_is_quickest() -> None:
    assert view(type=DELTA, index=0, delta={"type": "text_delta", "text": "\ud83d"}) is SAYS


def test_the_usage_of_a_stream_is_told_as_chat_tells_it() -> None:
    read = MessagesEvents()
    assert read.usage is None
    start = {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 1}
    read(json.dumps({"type": "message_start", "message": {"usage": start}}).encode())
    for tokens in (4, 9):
        delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": tokens}}
        read(json.dumps(delta).encode())
    assert Usage(15, 9) == read_usage(read.usage)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "delta", "content_block", "index", "usage", "text", "content"]), inner
        )
    ),
    max_leaves=10,
)
types = st.sampled_from(["message_start", "message_delta", DELTA, "content_block_start", "error", "message"])


@given(
    st.dictionaries(st.sampled_from(["delta", "index", "usage", "content_block", "message", "content"]), values), types
)
def test_nothing_trips_them(event: dict[str, Any], type_: str) -> None:
    data = json.dumps({"type": type_, **event}).encode()
    read = MessagesEvents()
    assert isinstance(read(data), EventView)
    assert read.usage is None or isinstance(json.loads(read.usage), dict)
    assert isinstance(read_message(data), Completion | Failure)


@given(st.binary(max_size=40))
def test_no_bytes_trip_them(data: bytes) -> None:
    assert isinstance(MessagesEvents()(data), EventView)
    assert isinstance(read_message(data), Completion | Failure)
