"""Answers and events of an upstream that speaks the responses wire itself."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.chat_events import DONE, ChatEvents, read_chunks, usage_of
from proxy.dialects.dialect import Reading
from proxy.dialects.openai.chat import Completion
from proxy.dialects.responses.usage import usage_of_event
from proxy.dialects.responses.wire import RESPONSES
from proxy.streams.event_view import SAYS, EventKind, EventView
from tests.dialects.responses.oracle import EVENT, speaking

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 17,
}
CHAT_USAGE = usage_of(10, 7, cached=4, thought=3)
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
THOUGHTS = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
HIDDEN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
READING = Reading("m", "chatcmpl-x", 1)


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


def data(name: str, **more: Any) -> bytes:
    return json.dumps({"type": name, "sequence_number": 1, **more}).encode()


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


# Events as chat events


def chat(*events: bytes) -> list[Any]:
    translator = RESPONSES.to_chat_events(READING)
    out = b"".join(translator.feed(b"event: x\ndata: " + event + b"\n\n") for event in events) + translator.end()
    return [None if chunk is None else chunk for chunk in read_chunks(out)]


def said(chunks: list[Any]) -> dict[str, Any]:
    """What chat events tell, summed up."""
    told: dict[str, Any] = {"text": "", "thoughts": "", "refusal": "", "calls": {}, "finish": None, "usage": None}
    for chunk in chunks:
        if chunk is None or isinstance(chunk, bytes):
            continue
        told["usage"] = chunk.usage or told["usage"]
        for choice in chunk.choices or ():
            told["finish"] = choice.finish_reason or told["finish"]
            told["text"] += choice.delta.content or ""
            told["thoughts"] += choice.delta.reasoning_content or ""
            told["refusal"] += choice.delta.refusal or ""
            for piece in choice.delta.tool_calls or ():
                call = told["calls"].setdefault(piece.index, [piece.id, piece.function.name, ""])
                call[2] += piece.function.arguments or ""
    return told


COMPLETED = data("response.completed", response={"output": [], "usage": USAGE})


def test_deltas() -> None:
    chunks = chat(
        data("response.created", response={"id": "resp_1", "model": "gpt"}),
        data("response.output_item.added", output_index=0, item={"type": "reasoning", "summary": []}),
        data("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="Hm."),
        data("response.reasoning_summary_text.delta", output_index=0, summary_index=1, delta="Well."),
        data("response.output_item.done", output_index=0, item=THOUGHTS),
        data("response.output_text.delta", output_index=1, delta="H"),
        data("response.output_text.delta", output_index=1, delta="i."),
        data("response.output_item.done", output_index=1, item=MESSAGE),
        data("response.output_item.added", output_index=2, item={**CALL, "arguments": ""}),
        data("response.function_call_arguments.delta", output_index=2, delta='{"a":'),
        data("response.function_call_arguments.delta", output_index=2, delta="1}"),
        data("response.output_item.done", output_index=2, item=CALL),
        COMPLETED,
    )

    assert ("resp_1", "gpt") == (chunks[0].id, chunks[0].model)
    assert chunks[-1] is None
    assert {
        "text": "Hi.",
        "thoughts": "Hm.\n\nWell.",
        "refusal": "",
        "calls": {0: ["c1", "f", '{"a":1}']},
        "finish": "tool_calls",
        "usage": CHAT_USAGE,
    } == said(chunks)


def test_items_that_come_whole_while_the_last_output_is_empty() -> None:
    """litellm#31332, pwnkit#332."""
    told = said(
        chat(
            data("response.output_item.done", output_index=0, item=THOUGHTS),
            data("response.output_item.done", output_index=1, item=MESSAGE),
            data("response.output_item.done", output_index=2, item=CALL),
            COMPLETED,
        )
    )

    assert ("Hm.", "Hi.", {0: ["c1", "f", '{"a":1}']}) == (told["thoughts"], told["text"], told["calls"])


def test_an_answer_that_comes_in_the_last_event_alone() -> None:
    told = said(chat(data("response.completed", response={"output": [THOUGHTS, MESSAGE, CALL]})))

    assert ("Hm.", "Hi.", "tool_calls") == (told["thoughts"], told["text"], told["finish"])


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "length")]
)
def test_an_incomplete_answer(reason: str | None, finish: str) -> None:
    response = {"output": [], "incomplete_details": {"reason": reason} if reason else None}

    assert finish == said(chat(data("response.incomplete", response=response)))["finish"]


@pytest.mark.parametrize(
    "event",
    [
        data("response.failed", response={"error": {"code": "server_error", "message": "oops"}}),
        data("error", code="server_error", message="oops"),
        data("error", error={"code": "server_error", "message": "oops"}),
    ],
)
def test_an_error_ends_the_chat_events(event: bytes) -> None:
    translator = RESPONSES.to_chat_events(READING)
    out = translator.feed(b"data: " + event + b"\n\ndata: " + COMPLETED + b"\n\n")

    assert {"code": "server_error", "message": "oops"} == json.loads(out.removeprefix(b"data: "))["error"]


def test_what_cannot_be_understood_is_malformed() -> None:
    assert b"data: malformed\n\n" == RESPONSES.to_chat_events(READING).feed(b"data: {\n\n")


def test_a_stream_that_is_cut_has_no_end() -> None:
    translator = RESPONSES.to_chat_events(READING)
    out = translator.feed(b"data: " + data("response.output_text.delta", delta="x") + b"\n\n") + translator.end()

    assert DONE not in out
    assert b'"finish_reason":"' not in out


CHAT = ChatEvents("chatcmpl-1", 1, "gpt")
REQUEST = RESPONSES.parse(b'{"model":"m","input":"hi"}')
texts = st.text(min_size=1, max_size=5)
turns = st.tuples(
    st.lists(texts, max_size=3),
    st.lists(texts, max_size=3),
    st.lists(st.lists(texts, min_size=1, max_size=3), max_size=3),
)


def there(turn: Any) -> tuple[bytes, bytes]:
    """Chat events, and the same on the responses wire."""
    thoughts, text, calls = turn
    events = [CHAT.role(), *map(CHAT.reasoning, thoughts), *map(CHAT.text, text)]
    for index, arguments in enumerate(calls):
        events += [CHAT.call(index, f"c{index}", f"f{index}"), *(CHAT.arguments(index, each) for each in arguments)]
    events += [CHAT.finish("tool_calls" if calls else "stop"), CHAT.usage(usage_of(3, 4)), DONE]
    stream = b"".join(events)
    return stream, RESPONSES.encoder(speaking(REQUEST)).feed(stream)


@given(turns)
def test_there_and_back_everything_is_kept(turn: Any) -> None:
    before, between = there(turn)
    after = RESPONSES.to_chat_events(READING).feed(between)
    told = said(read_chunks(after))
    details = {"prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
               "completion_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip

    assert {**said(read_chunks(before)), "usage": {**usage_of(3, 4), **details}} == told
    assert read_chunks(after)[-1] is None


@given(turns, st.lists(st.integers(0, 3000), max_size=6))
def test_wherever_the_bytes_are_cut_the_chat_events_are_the_same(turn: Any, cuts: list[int]) -> None:
    _, stream = there(turn)
    places = [0, *sorted(cuts), len(stream)]
    translator = RESPONSES.to_chat_events(READING)
    cut = b"".join(translator.feed(stream[start:end]) for start, end in itertools.pairwise(places))

    assert RESPONSES.to_chat_events(READING).feed(stream) == cut


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "content", "id", "error", "output", "text"]), inner, max_size=3)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(
    [json.loads(event)["type"] for event, view in EVENTS if view != MALFORMED and b'"type"' in event[:8]]
)


@given(kinds, st.dictionaries(st.sampled_from(["item", "delta", "response", "output_index", "error"]), anything))
def test_hostile_events_never_raise(name: str, more: dict[str, Any]) -> None:
    event = data(name, **more)
    RESPONSES.event_reader()(event)
    RESPONSES.to_chat_events(READING).feed(b"data: " + event + b"\n\n")


@given(st.binary(max_size=80))
def test_hostile_bytes_never_raise(raw: bytes) -> None:
    RESPONSES.to_chat_events(READING).feed(b"data: " + raw + b"\n\n")
