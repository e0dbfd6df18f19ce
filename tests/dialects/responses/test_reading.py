"""Answers and events of an upstream that speaks the responses wire itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.openai.chat import Completion
from proxy.dialects.responses.usage import usage_of_event
from proxy.dialects.responses.wire import RESPONSES
from proxy.streams.event_view import SAYS, EventKind, EventView
from tests.dialects.responses.oracle import EVENT
from tests.dialects.responses.samples import CALL, CHAT_USAGE, HIDDEN, MESSAGE, THOUGHTS, USAGE, data


def answer(**more: Any) -> bytes:
    told = {"id": "resp_1", "object": "response", "status": "completed", "error": None, "output": [MESSAGE], **more}
    return json.dumps(told).encode()


# A whole answer


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"output": [CALL]},
        {"output": [THOUGHTS]},
        {"output": [{"type": "image_generation_call", "result": "AA=="}]},
        {"output": [], "status": "incomplete"},
        {"output": [], "status": "queued"},
        {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": "\ud83d"}]}]},
    ],
)
def test_answers(more: dict[str, Any]) -> None:
    body = answer(**more, usage=USAGE)
    read = RESPONSES.read(body, "openai", 0.0)

    assert isinstance(read, Completion)
    assert read.body is body
    assert CHAT_USAGE == json.loads(read.usage or b"")


@pytest.mark.parametrize("usage", [None, {}, "x"])
def test_usage_that_is_not_told_is_none(usage: Any) -> None:
    read = RESPONSES.read(answer(usage=usage), "openai", 0.0)

    assert isinstance(read, Completion)
    assert read.usage is None


BAD: list[tuple[bytes, str]] = [
    (b"", "empty_body"),
    (b" \n", "empty_body"),
    (b'{"object":"response","output":[', "invalid_json"),
    (b"<html>Welcome</html>", "invalid_json"),
    (b'{"output":[{"type":"\xff"}]}', "invalid_json"),
    (b"[" * 100_000, "invalid_json"),
    (b"[]", "wrong_schema"),
    (b"{}", "wrong_schema"),
    (b'{"output":[1]}', "wrong_schema"),
    (b'{"object":"chat.completion","choices":[]}', "wrong_schema"),
    (answer(output=[]), "empty_answer"),
    (answer(output=[HIDDEN]), "empty_answer"),
    (answer(output=[{"type": "message", "content": [{"type": "output_text", "text": ""}]}]), "empty_answer"),
    (answer(status="failed"), "in_band_error"),
    (answer(status="failed", error={"code": "server_error", "message": "oops"}), "in_band_error"),
    (b'{"error":{"message":"oops"}}', "in_band_error"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_no_answers(body: bytes, code: str) -> None:
    failure = RESPONSES.read(body, "openai", 0.0)

    assert isinstance(failure, Failure)
    assert code == failure.code


def test_errors_in_disguise_keep_their_class() -> None:
    body = answer(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
    failure = RESPONSES.read(body, "openai", 0.0)

    assert isinstance(failure, Failure)
    assert (FailureClass.RATE_LIMITED, "Slow down.") == (failure.kind, failure.message)


# Events


NOTHING = EventView(EventKind.NO_CONTENT, (0,))
ENDED = EventView(EventKind.DONE, (0,), (0,))
ENDED_MAYBE_EMPTY = EventView(EventKind.DONE, (0,), (0,), may_be_empty=True)
ERROR = EventView(EventKind.ERROR)
MALFORMED = EventView(EventKind.MALFORMED)
CALLS = EventView(EventKind.CONTENT, (0,), calls=(2,))

EVENTS: list[tuple[bytes, EventView]] = [
    (data("response.created", response={"status": "in_progress", "error": None}), NOTHING),
    (data("response.in_progress", response={}), NOTHING),
    (data("response.queued", response={}), NOTHING),
    (data("response.output_item.added", item={"type": "message", "content": []}), NOTHING),
    (data("response.output_item.added", item={"type": "reasoning", "summary": []}), NOTHING),
    (data("response.output_item.added", output_index=2, item=CALL), CALLS),
    (data("response.output_item.added", item={"type": "web_search_call"}), SAYS),
    (data("response.output_item.done", item=HIDDEN), NOTHING),
    (data("response.output_item.done", item=THOUGHTS), SAYS),
    (data("response.output_item.done", item=MESSAGE), SAYS),
    (data("response.output_item.done", output_index=2, item=CALL), CALLS),
    (data("response.content_part.added", part={"type": "output_text", "text": ""}), NOTHING),
    (data("response.output_text.delta", delta="x"), SAYS),
    (data("response.output_text.delta", delta=""), NOTHING),
    (data("response.output_text.delta", delta="\ud83d"), SAYS),
    (data("response.refusal.delta", delta="x"), SAYS),
    (data("response.reasoning_text.delta", delta="x"), SAYS),
    (data("response.reasoning_summary_text.delta", delta="x"), SAYS),
    (data("response.audio.delta", delta="AA=="), SAYS),
    (data("response.function_call_arguments.delta", delta="{", output_index=2), CALLS),
    (data("response.custom_tool_call_input.delta", delta="{", output_index=2), CALLS),
    (data("response.image_generation_call.partial_image", partial_image_b64="AA=="), SAYS),
    (data("response.web_search_call.searching"), SAYS),
    (data("response.output_text.done", text="x"), NOTHING),
    (data("response.completed", response={"output": []}), ENDED),
    (data("response.completed", response={"output": [MESSAGE]}), ENDED_MAYBE_EMPTY),
    (data("response.incomplete", response={"output": []}), ENDED_MAYBE_EMPTY),
    (data("response.failed", response={"error": {"code": "server_error", "message": "oops"}}), ERROR),
    (data("error", code="server_error", message="oops"), ERROR),
    (b'{"error":{"message":"oops"}}', ERROR),
    (data("keepalive"), EventView(EventKind.NO_CONTENT)),
    (b"", MALFORMED),
    (b"{", MALFORMED),
    (b"{}", MALFORMED),
    (b"[]", MALFORMED),
    (data("response.completed", response=5), MALFORMED),
    (b'{"type":5}', MALFORMED),
    (b'{"type":"response.output_text.delta","delta":"\xff"}', MALFORMED),
    (b"[" * 100_000, MALFORMED),
]


@pytest.mark.parametrize(("event", "view"), EVENTS)
def test_events(event: bytes, view: EventView) -> None:
    assert view == RESPONSES.event_reader()(event)


def test_text_that_goes_on_is_the_one_view_that_machines_are_quick_with() -> None:
    assert SAYS is RESPONSES.event_reader()(data("response.output_text.delta", delta="x"))


def test_an_end_after_something_was_said_is_not_empty() -> None:
    read = RESPONSES.event_reader()
    read(data("response.output_text.delta", delta="x"))

    assert ENDED == read(data("response.completed", response={"output": [MESSAGE]}))


@pytest.mark.parametrize(
    "event",
    [
        data("response.failed", response={"error": {"code": "rate_limit_exceeded", "message": "Slow down."}}),
        data("error", code="rate_limit_exceeded", message="Slow down.", param=None),
        data("error", error={"code": "rate_limit_exceeded", "message": "Slow down."}),
    ],
)
def test_the_failure_of_an_event(event: bytes) -> None:
    failure = RESPONSES.failure(event, "openai", 0.0)

    assert (FailureClass.RATE_LIMITED, "Slow down.") == (failure.kind, failure.message)


def test_the_usage_of_the_last_event() -> None:
    event = data("response.completed", response={"output": [], "usage": USAGE})

    assert {"usage": CHAT_USAGE} == json.loads(usage_of_event(event) or b"")
    assert usage_of_event(data("response.completed", response={"usage": None})) is None
    assert usage_of_event(b"{") is None


def test_the_end_of_a_stream_that_passed_through_and_broke() -> None:
    stream = RESPONSES.broken("It broke.", "stream_interrupted", reason="reset", retryable=True)
    event = json.loads(stream.removeprefix(b"event: error\ndata: "))
    EVENT.validate_python(event)

    assert ("It broke.", "stream_interrupted", "reset", True) == (
        event["message"],
        event["error"]["code"],
        event["error"]["reason"],
        event["error"]["retryable"],
    )


@given(st.binary(max_size=80))
def test_reading_never_raises(raw: bytes) -> None:
    RESPONSES.read(raw, "openai", 0.0)
    RESPONSES.event_reader()(raw)
    RESPONSES.failure(raw, "openai", 0.0)
    usage_of_event(raw)
