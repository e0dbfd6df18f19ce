"""Events of the responses wire as chat events."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.chat_events import DONE, ChatEvents, read_chunks, usage_of
from proxy.dialects.dialect import Reading
from proxy.dialects.responses.wire import RESPONSES
from proxy.streams.sse import MAX_EVENT
from tests.dialects.responses.oracle import speaking
from tests.dialects.responses.samples import CALL, CHAT_USAGE, MESSAGE, THOUGHTS, USAGE, data

READING = Reading("m", "chatcmpl-x", 1)


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
    ["error", "response.created", "response.output_item.added", "response.output_item.done", "response.completed",
     "response.incomplete", "response.failed", "response.output_text.delta", "response.function_call_arguments.delta",
     "response.reasoning_summary_text.delta", "response.refusal.delta", "response.custom_tool_call_input.delta"]
)  # fmt: skip


@given(kinds, st.dictionaries(st.sampled_from(["item", "delta", "response", "output_index", "error"]), anything))
def test_hostile_events_never_raise(name: str, more: dict[str, Any]) -> None:
    event = data(name, **more)
    RESPONSES.event_reader()(event)
    RESPONSES.to_chat_events(READING).feed(b"data: " + event + b"\n\n")


@given(st.binary(max_size=80))
def test_hostile_bytes_never_raise(raw: bytes) -> None:
    RESPONSES.to_chat_events(READING).feed(b"data: " + raw + b"\n\n")


def raw_chat(*events: bytes) -> list[dict[str, Any]]:
    translator = RESPONSES.to_chat_events(READING)
    out = b"".join(translator.feed(b"data: " + event + b"\n\n") for event in events)
    return [json.loads(line[6:])["choices"][0]["delta"] for line in out.split(b"\n\n") if line.startswith(b"data: {")]


def test_a_refusal_is_told_once() -> None:
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    in_deltas = [
        data("response.refusal.delta", output_index=0, delta="N"),
        data("response.refusal.delta", output_index=0, delta=""),
        data("response.refusal.delta", output_index=0, delta="o."),
    ]
    whole = data("response.output_item.done", output_index=0, item=refused)

    assert "No." == said(chat(*in_deltas, whole, COMPLETED))["refusal"]
    assert "No." == said(chat(whole, COMPLETED))["refusal"]


def test_a_custom_call_is_one_on_the_chat_wire_too() -> None:
    item = {"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": "xy"}
    added = data("response.output_item.added", output_index=0, item={**item, "input": ""})
    delta = data("response.custom_tool_call_input.delta", output_index=0, delta="xy")
    done = data("response.output_item.done", output_index=0, item=item)
    begun = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "f", "input": ""}}
    expected = [{"tool_calls": [begun]}, {"tool_calls": [{"index": 0, "custom": {"input": "xy"}}]}]

    assert expected == raw_chat(added, delta, done)[1:]
    assert expected == raw_chat(done)[1:]


def test_arguments_of_a_call_that_never_began_are_nobodys() -> None:
    assert {} == said(chat(data("response.function_call_arguments.delta", output_index=0, delta="{")))["calls"]


def test_an_event_without_a_type_is_malformed() -> None:
    assert b"data: malformed\n\n" == RESPONSES.to_chat_events(READING).feed(b"data: {}\n\n")


def test_an_error_outside_of_the_data_is_one() -> None:
    """llama.cpp's builds of 2025."""
    out = RESPONSES.to_chat_events(READING).feed(b"error: oops\n\n")

    assert {"error": "oops"} == json.loads(out.removeprefix(b"data: "))


def test_an_event_that_is_too_large_is_malformed() -> None:
    translator = RESPONSES.to_chat_events(READING)

    assert b"data: malformed\n\n" == translator.feed(b"data: " + bytes(MAX_EVENT))
    assert b"" == translator.feed(b"\n\n")
