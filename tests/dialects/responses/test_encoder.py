"""Chat events as events of the responses wire."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response

from proxy.dialects.chat_events import DONE, ChatEvents, usage_of
from proxy.dialects.responses.wire import RESPONSES
from tests.dialects.responses.oracle import EVENT, check_response, events_of, names_of, speaking

CHAT = ChatEvents("chatcmpl-1", 1, "gpt")
USAGE = CHAT.usage(usage_of(10, 7, cached=4, thought=3))
REQUEST = RESPONSES.parse(b'{"model":"route","input":"hi","stream":true,\n"instructions":"x",\r\n"tools":[\n]}')


def encoded(*events: bytes) -> bytes:
    """Each event by itself."""
    encoder = RESPONSES.encoder(speaking(REQUEST))
    return b"".join(map(encoder.feed, events))


def told(*events: bytes) -> list[dict[str, Any]]:
    stream = encoded(CHAT.role(), *events)
    told = events_of(stream)
    assert list(range(len(told))) == [event["sequence_number"] for event in told]
    check_whole(told)
    return told


def check_whole(events: list[dict[str, Any]]) -> Response:
    """OpenAI's own client makes of the deltas what the last event says, and places are taken once."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        state.handle_event(EVENT.validate_python(event))
    response = check_response(events[-1]["response"])
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert list(range(len(added))) == [event["output_index"] for event in added]
    assert len(added) == len({event["item"]["id"] for event in added})
    assert events[-1]["response"]["output"] == [
        event["item"] for event in sorted(done, key=lambda event: int(event["output_index"]))
    ]
    texts = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(texts) == response.output_text
    return response


TEXT = ["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"]
TEXT_DONE = ["output_text.done", "content_part.done", "output_item.done"]
CALL = ["output_item.added", "function_call_arguments.delta"]
CALL_DONE = ["function_call_arguments.done", "output_item.done"]


def test_a_text() -> None:
    """llm-rosetta#56, kitty-bridge#122, opencode#40171: the order, and what each event names."""
    events = told(CHAT.text("Hel"), CHAT.text("lo."), CHAT.finish("stop"), USAGE, DONE)

    assert [*TEXT, "output_text.delta", *TEXT_DONE, "completed"] == names_of(events)
    for event in events[3:7]:
        assert ("msg_hfabc0", 0, 0) == (event["item_id"], event["output_index"], event["content_index"])
    assert "Hello." == events[6]["text"]
    assert "Hello." == events[8]["item"]["content"][0]["text"]
    last = events[-1]["response"]
    assert ("completed", "gpt", 10, 7, 4, 3) == (
        last["status"],
        last["model"],
        last["usage"]["input_tokens"],
        last["usage"]["output_tokens"],
        last["usage"]["input_tokens_details"]["cached_tokens"],
        last["usage"]["output_tokens_details"]["reasoning_tokens"],
    )


def test_nothing_follows_the_last_event() -> None:
    """CLIProxyAPI#5028: this wire knows no `[DONE]`."""
    stream = encoded(CHAT.role(), CHAT.text("x"), CHAT.finish("stop"), DONE, CHAT.text("y"), DONE)

    assert b"[DONE]" not in stream
    assert "completed" == names_of(events_of(stream))[-1]


def test_the_end_waits_for_the_usage() -> None:
    before = encoded(CHAT.role(), CHAT.text("x"), CHAT.finish("stop"))

    assert "output_item.done" == names_of(events_of(before))[-1]


def test_usage_may_come_with_the_finish_reason() -> None:
    finish = json.loads(CHAT.finish("stop")[6:])
    event = b"data: " + json.dumps({**finish, "usage": usage_of(1, 2)}).encode() + b"\n\n"

    assert 3 == told(CHAT.text("x"), event, DONE)[-1]["response"]["usage"]["total_tokens"]


def test_thoughts_come_before_the_text() -> None:
    events = told(CHAT.reasoning("Hm"), CHAT.reasoning("."), CHAT.text("Yes."), CHAT.finish("stop"), DONE)
    expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        *TEXT[2:],
        *TEXT_DONE,
        "completed",
    ]

    assert expected == names_of(events)
    assert [{"type": "summary_text", "text": "Hm."}] == events[-1]["response"]["output"][0]["summary"]


def test_parts_of_thoughts_and_text() -> None:
    """Mistral's."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes."}]
    output = told(CHAT.delta({"content": parts}), CHAT.finish("stop"), DONE)[-1]["response"]["output"]

    assert ["Hm.", "Yes."] == [output[0]["summary"][0]["text"], output[1]["content"][0]["text"]]


def test_a_call() -> None:
    events = told(CHAT.call(0, "c1", "f"), CHAT.arguments(0, '{"a"'), CHAT.arguments(0, ":1}"),
                  CHAT.finish("tool_calls"), DONE)  # fmt: skip

    assert ["created", "in_progress", *CALL, CALL[1], *CALL_DONE, "completed"] == names_of(events)
    item = events[-1]["response"]["output"][0]
    assert ("c1", "f", '{"a":1}', "completed") == (item["call_id"], item["name"], item["arguments"], item["status"])
    assert "" == events[2]["item"]["arguments"]


def test_calls_that_are_told_at_once_have_their_own_places() -> None:
    events = told(
        CHAT.text("I call."),
        CHAT.call(0, "c1", "f"),
        CHAT.call(1, "c2", "g"),
        CHAT.arguments(0, '{"a":'),
        CHAT.arguments(1, '{"b":'),
        CHAT.arguments(0, "1}"),
        CHAT.arguments(1, "2}"),
        CHAT.finish("tool_calls"),
        DONE,
    )
    deltas = [event["output_index"] for event in events if event["type"].endswith("arguments.delta")]
    output = events[-1]["response"]["output"]

    assert [1, 2, 1, 2] == deltas
    assert ['{"a":1}', '{"b":2}'] == [item["arguments"] for item in output[1:]]
    assert "completed" == output[0]["status"]


def test_calls_of_one_index_are_told_apart_by_their_ids() -> None:
    first, second = CHAT.call(0, "c1", "f", '{"a":1}'), CHAT.call(0, "c2", "f", '{"a":2}')
    output = told(first, second, CHAT.finish("tool_calls"), DONE)[-1]["response"]["output"]

    assert [("c1", '{"a":1}'), ("c2", '{"a":2}')] == [(item["call_id"], item["arguments"]) for item in output]


def test_an_id_that_is_taken_is_replaced() -> None:
    """OpenAI's client refuses two items of one id."""
    output = told(CHAT.call(0, "c", "f"), CHAT.call(1, "c", "g"), CHAT.finish("tool_calls"), DONE)[-1]["response"]

    assert ["c", "call_abc1"] == [item["call_id"] for item in output["output"]]


def test_a_call_begins_when_its_name_is_known() -> None:
    early = CHAT.delta({"tool_calls": [{"index": 0, "id": "c1", "function": {"arguments": "{"}}]})
    late = CHAT.delta({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]})
    again = CHAT.delta({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]})
    output = told(early, late, again, CHAT.finish("tool_calls"), DONE)[-1]["response"]["output"]

    assert [("c1", "f", "{}")] == [(item["call_id"], item["name"], item["arguments"]) for item in output]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = told(CHAT.call(0, "c1", "f"), CHAT.finish("tool_calls"), DONE)

    assert ["created", "in_progress", *CALL, *CALL_DONE, "completed"] == names_of(events)
    assert "{}" == events[-1]["response"]["output"][0]["arguments"]


def test_text_behind_a_call_is_a_message_of_its_own() -> None:
    events = told(CHAT.text("a"), CHAT.call(0, "c1", "f", "{}"), CHAT.text("b"), CHAT.finish("tool_calls"), DONE)

    kinds = [item["type"] for item in events[-1]["response"]["output"]]
    assert ["message", "function_call", "message"] == kinds


def test_a_refusal_behind_a_text_is_another_part() -> None:
    refusal = [CHAT.delta({"refusal": "N"}), CHAT.delta({"refusal": "o."})]
    events = told(CHAT.text("Well."), *refusal, CHAT.finish("stop"), DONE)
    content = events[-1]["response"]["output"][0]["content"]

    assert ["output_text", "refusal"] == [part["type"] for part in content]
    assert "No." == content[1]["refusal"]
    assert [1, 1] == [event["content_index"] for event in events if event["type"] == "response.refusal.delta"]


def test_a_cut_answer_is_incomplete() -> None:
    events = told(CHAT.reasoning("Hm."), CHAT.text("He"), CHAT.finish("length"), DONE)
    last = events[-1]["response"]

    assert ("response.incomplete", "incomplete") == (events[-1]["type"], last["status"])
    assert {"reason": "max_output_tokens"} == last["incomplete_details"]
    assert ["completed", "incomplete"] == [item["status"] for item in last["output"]]


def test_an_answer_that_was_filtered_may_be_empty() -> None:
    events = told(CHAT.finish("content_filter"), DONE)

    assert ["created", "in_progress", "incomplete"] == names_of(events)
    assert [] == events[-1]["response"]["output"]


def test_a_stream_that_breaks_has_failed() -> None:
    encoder = RESPONSES.encoder(speaking(REQUEST))
    before = encoder.feed(CHAT.role() + CHAT.text("Hel"))
    error = encoder.error("It broke.", "stream_interrupted", reason="reset", retryable=True)
    events = events_of(before + error)

    assert [*TEXT, "failed"] == names_of(events)
    failed = events[-1]["response"]
    assert ("failed", "server_error", "It broke.", "stream_interrupted") == (
        failed["status"],
        failed["error"]["code"],
        failed["error"]["message"],
        failed["error"]["type"],
    )
    assert ("incomplete", "Hel") == (failed["output"][0]["status"], failed["output"][0]["content"][0]["text"])
    assert b"" == encoder.feed(CHAT.text("lo"))
    assert b"" == encoder.error("Again.", "x", reason="y", retryable=False)


def test_a_stream_that_breaks_at_once_has_begun() -> None:
    encoder = RESPONSES.encoder(speaking(REQUEST))
    error = encoder.error("No.", "rate_limit_exceeded", reason="x", retryable=False)
    events = events_of(error)

    assert ["created", "in_progress", "failed"] == names_of(events)
    assert "rate_limit_exceeded" == events[-1]["response"]["error"]["code"]


def test_an_index_that_is_null_is_the_first() -> None:
    text = CHAT.text("x").replace(b'"index":0', b'"index":null')
    call = CHAT.call(0, "c1", "f").replace(b'"index":0', b'"index":null')
    output = told(text, call, CHAT.finish("tool_calls"), DONE)[-1]["response"]["output"]

    assert ["message", "function_call"] == [item["type"] for item in output]


def test_comments_pass() -> None:
    assert b": ping\n\n" == encoded(b": ping\n\n")


def test_halves_of_surrogate_pairs_pass() -> None:
    stream = encoded(CHAT.role(), CHAT.text("\ud83d"), CHAT.text("\ude00"), CHAT.finish("stop"), DONE)
    deltas = [json.loads(line[6:]).get("delta") for line in stream.splitlines() if line.startswith(b"data: ")]

    assert ["\ud83d", "\ude00"] == [delta for delta in deltas if delta]


pieces = st.one_of(
    st.text(max_size=5).map(CHAT.text),
    st.text(max_size=5).map(CHAT.reasoning),
    st.text(max_size=5).map(lambda text: CHAT.delta({"refusal": text})),
    st.builds(CHAT.call, st.integers(0, 2), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "f", "g"])),
    st.builds(CHAT.arguments, st.integers(0, 2), st.text(max_size=5)),
)


@given(st.lists(pieces, max_size=12), st.sampled_from(["stop", "length", "tool_calls", "content_filter"]), st.data())
def test_whatever_is_said_is_told_well(events: list[bytes], finish: str, data: st.DataObject) -> None:
    stream = [*events, CHAT.finish(finish), USAGE, DONE]
    one_by_one = encoded(CHAT.role(), *stream)
    told(*stream)
    cut = data.draw(st.integers(0, len(stream)))

    assert one_by_one == encoded(CHAT.role() + b"".join(stream[:cut]), b"".join(stream[cut:]))


@given(st.binary(max_size=60) | st.builds(lambda text: b'data: {"choices":' + text + b"}\n\n", st.binary(max_size=30)))
def test_nothing_is_raised(data: bytes) -> None:
    encoder = RESPONSES.encoder(speaking(REQUEST))
    encoder.feed(data)
    encoder.error("x", "y", reason="z", retryable=False)
