"""Streams of Messages as chat events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.chat_events import MALFORMED
from proxy.dialects.dialect import Reading
from proxy.dialects.openai.chat import read_event
from proxy.dialects.registry import Quirks
from proxy.streams.event_view import EventKind
from proxy.streams.sse import MAX_EVENT, EventFramer
from tests.dialects.anthropic.oracle import (
    READING,
    block,
    block_start,
    block_stop,
    call_block,
    chunks,
    delta,
    deltas,
    event,
    finish_of,
    start,
    stop,
    text_block,
    translated,
)
from tests.dialects.anthropic.test_answer import ANSWER

PING = event("ping", judged=False)


def begun(index: int, id_: str, name: str) -> dict[str, Any]:
    call = {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
    return {"tool_calls": [call]}


def piece(index: int, arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def usage_of(*pieces: bytes) -> dict[str, Any]:
    (found,) = [chunk["usage"] for chunk in chunks(*pieces) if not chunk["choices"]]
    return dict(found)


def kinds(out: bytes) -> list[EventKind]:
    """How the stream machine sees the events."""
    return [read_event(each.data or b"", Quirks()).kind for each in EventFramer().feed(out)]


def test_a_whole_stream_in_the_order_of_the_wire() -> None:
    found = chunks(start(), PING, text_block(0, "Hello", " world"), stop())

    parts = [
        (chunk["choices"][0]["delta"], chunk["choices"][0]["finish_reason"]) for chunk in found if chunk["choices"]
    ]
    expected = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Hello"}, None),
        ({"content": " world"}, None),
        ({}, "stop"),
    ]
    assert expected == parts
    assert {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} == found[-1]["usage"]
    assert {("msg_1", "claude-answering", 1_700_000_000)} == {
        (chunk["id"], chunk["model"], chunk["created"]) for chunk in found
    }


def test_a_text_that_a_block_begins_with_is_not_lost() -> None:
    assert [{"content": "a"}, {"content": "b"}] == deltas(
        start(), block(0, {"type": "text", "text": "a"}, {"type": "text_delta", "text": "b"}), stop()
    )


def test_litellm_16194_calls_are_counted_over_the_whole_stream() -> None:
    found = deltas(
        start(),
        text_block(0, "a"),
        call_block(1, "toolu_1", "look", '{"a"', ":1}"),
        text_block(2, "b"),
        call_block(3, "toolu_2", "hear", "{}"),
        stop("tool_use"),
    )

    expected = [
        {"content": "a"},
        begun(0, "toolu_1", "look"),
        piece(0, '{"a"'),
        piece(0, ":1}"),
        {"content": "b"},
        begun(1, "toolu_2", "hear"),
        piece(1, "{}"),
    ]
    assert expected == found


@pytest.mark.parametrize("pieces", [(), ("",), ("", "")])
def test_litellm_32004_a_call_without_input_has_an_empty_object(pieces: tuple[str, ...]) -> None:
    found = deltas(start(), call_block(0, "toolu_1", "look", *pieces), stop("tool_use"))

    assert [begun(0, "toolu_1", "look"), piece(0, "{}")] == found


def test_litellm_20543_what_a_block_begins_with_is_never_put_before_its_pieces() -> None:
    found = deltas(start(), call_block(0, "toolu_1", "look", "", '{"a":1}'), stop("tool_use"))

    assert '{"a":1}' == "".join(each["tool_calls"][0]["function"]["arguments"] for each in found)


def test_an_input_that_comes_whole_with_its_block_counts_if_no_piece_follows() -> None:
    begin = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}

    assert piece(0, '{"a":1}') == deltas(start(), block(0, begin), stop("tool_use"))[-1]


def test_calls_that_come_interleaved_keep_their_pieces() -> None:
    def more(index: int, part: str) -> bytes:
        return delta(index, type="input_json_delta", partial_json=part)

    opened = [block_start(place, type="tool_use", id=f"toolu_{place}", name="look", input={}) for place in (0, 1)]
    found = deltas(
        start(), *opened, more(0, "{"), more(1, "[{"), more(0, "}"), block_stop(0), block_stop(1), stop("tool_use")
    )

    assert [piece(0, "{"), piece(1, "[{"), piece(0, "}")] == found[2:]


def test_litellm_17254_the_pieces_of_what_the_provider_calls_itself_are_nobodys() -> None:
    begin = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}

    found = deltas(
        start(),
        block(0, begin, {"type": "input_json_delta", "partial_json": '{"query":"a"}'}),
        block(1, result),
        call_block(2, "toolu_1", "look", "{}"),
        stop("tool_use"),
    )

    assert [begun(0, "toolu_1", "look"), piece(0, "{}")] == found


def test_tools_have_the_names_that_the_client_gave_them() -> None:
    reading = Reading("m", "i", 1, {"a_b": "a.b"})

    assert (
        begun(0, "toolu_1", "a.b")
        == deltas(start(), call_block(0, "toolu_1", "a_b"), stop("tool_use"), reading=reading)[0]
    )


class TestThoughts:
    def test_are_reasoning_and_come_again_whole_and_signed_when_their_block_ends(self) -> None:
        found = deltas(
            start(),
            block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "h"},
                {"type": "thinking_delta", "thinking": "m"},
                {"type": "signature_delta", "signature": "sig"},
            ),
            block(1, {"type": "redacted_thinking", "data": "xyz"}),
            text_block(2, "a"),
            stop(),
        )

        expected = [
            {"reasoning_content": "h"},
            {"reasoning_content": "m"},
            {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "sig"}]},
            {"thinking_blocks": [{"type": "redacted_thinking", "data": "xyz"}]},
            {"content": "a"},
        ]
        assert expected == found

    def test_without_a_signature_they_are_reasoning_only(self) -> None:
        begin = {"type": "thinking", "thinking": "h", "signature": ""}

        found = deltas(start(), block(0, begin, {"type": "thinking_delta", "thinking": "m"}), stop())

        assert [{"reasoning_content": "h"}, {"reasoning_content": "m"}] == found


class TestTheAnswerTool:
    def test_its_input_is_the_answer_and_what_was_said_around_it_is_not(self) -> None:
        pieces = (start(), text_block(0, "So: "), call_block(1, "t", "answer", "", '{"a"', ":1}"), stop("tool_use"))

        assert [{"content": '{"a"'}, {"content": ":1}"}] == deltas(*pieces, reading=ANSWER)
        assert "stop" == finish_of(*pieces, reading=ANSWER)

    def test_if_it_is_never_called_what_was_said_is_the_answer(self) -> None:
        pieces = (start(), text_block(0, "I will", " not."), stop("refusal"))

        assert [{"content": "I will not."}] == deltas(*pieces, reading=ANSWER)
        assert "content_filter" == finish_of(*pieces, reading=ANSWER)

    def test_other_calls_are_calls(self) -> None:
        pieces = (start(), call_block(0, "t", "look"), stop("tool_use"))

        assert begun(0, "t", "look") == deltas(*pieces, reading=ANSWER)[0]
        assert "tool_calls" == finish_of(*pieces, reading=ANSWER)


class TestTheEnd:
    @pytest.mark.parametrize(
        ("stop_reason", "expected"),
        [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("pause_turn", "length"),
            ("refusal", "content_filter"),
        ],
    )
    def test_stop_reasons(self, stop_reason: str, expected: str) -> None:
        assert expected == finish_of(start(), text_block(0, "a"), stop(stop_reason))

    def test_calls_that_end_in_a_plain_stop_are_calls(self) -> None:
        assert "tool_calls" == finish_of(start(), call_block(0, "t", "look"), stop("end_turn"))

    @pytest.mark.parametrize("reason", ["error", "malformed_tool_use", "malformed_model_output"])
    def test_stop_reasons_that_are_failures_are_read_as_such(self, reason: str) -> None:
        end = event("message_delta", judged=False, delta={"stop_reason": reason}) + event("message_stop")

        assert EventKind.ERROR in kinds(translated(start(), text_block(0, "a"), end))

    def test_a_refusal_says_why(self) -> None:
        details = {"type": "refusal", "category": "bio", "explanation": "No."}

        assert [{"refusal": "No."}] == deltas(start(), stop("refusal", details))

    def test_usage_counts_from_the_beginning_and_is_never_added_up(self) -> None:
        first = start(cache_read_input_tokens=100, cache_creation_input_tokens=0)
        told = event("message_delta", delta={"stop_reason": None, "stop_sequence": None}, usage={"output_tokens": 3})

        found = usage_of(first, told, stop(output_tokens=9, cache_creation_input_tokens=None))

        expected = {
            "prompt_tokens": 110,
            "completion_tokens": 9,
            "total_tokens": 119,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
        }
        assert expected == found

    def test_litellm_33404_a_stream_that_was_cut_is_never_finished(self) -> None:
        whole = start() + text_block(0, "a") + stop()
        cut = whole[: whole.index(b"event: message_stop")]

        out = translated(cut)

        assert b"[DONE]" not in out
        assert b'"finish_reason":"' not in out

    def test_a_stop_reason_that_is_missing_is_not_invented(self) -> None:
        out = translated(start(), text_block(0, "a"), event("message_stop"))

        assert b'"finish_reason":"' not in out

    def test_a_last_event_without_its_blank_line_counts(self) -> None:
        whole = start() + text_block(0, "a") + stop()

        assert translated(whole) == translated(whole[:-1]) == translated(whole[:-2])

    def test_nothing_follows_the_end(self) -> None:
        whole = start() + text_block(0, "a") + stop()

        assert translated(whole) == translated(whole, text_block(1, "b"), stop(), b"data: [DONE]\n\n")


class TestTrouble:
    def test_an_error_is_passed_on_as_it_came(self) -> None:
        error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'

        out = translated(start(), text_block(0, "a"), b"event: error\ndata: %b\n\n" % error)

        assert out.endswith(b"data: " + error + b"\n\n")
        assert EventKind.ERROR is kinds(out)[-1]

    def test_llama_cpp_14566_so_is_one_in_a_field_of_its_own(self) -> None:
        assert [EventKind.ERROR] == kinds(translated(b'error: {"message":"slot"}\n\n'))

    @pytest.mark.parametrize(
        "quiet",
        [
            PING, b": keep-alive\n\n", b"event: x\ndata: {\"type\":\"new_event\",\"index\":\"a\",\"delta\":[]}\n\n",
            b"data: [DONE]\n\n", b"event: ping\n\n", event("message_start", judged=False, message={}),
            event("content_block_delta", judged=False, index=9, delta={"type": "new_delta", "x": 1}),
            delta(9, type="input_json_delta", partial_json="{"),
            event("content_block_stop", judged=False, index=9),
            delta(0, type="citations_delta", citation={
                "type": "char_location", "cited_text": "a", "document_index": 0, "start_char_index": 0,
                "end_char_index": 1,
            }),
        ],
    )  # fmt: skip
    def test_what_says_nothing_is_passed_over(self, quiet: bytes) -> None:
        plain = (start(), text_block(0, "a"), stop())

        assert chunks(*plain) == chunks(plain[0], quiet, plain[1], quiet, plain[2])

    @pytest.mark.parametrize(
        "broken",
        [
            b"data: {\n\n", b"data: 1\n\n", b"data: {}\n\n", b"data: \xff\n\n", b"data:\n\n", b'data: {"type":5}\n\n',
            event("message_start", judged=False), event("content_block_start", judged=False, index=0),
            event("content_block_delta", judged=False, index=0),
            event("content_block_delta", judged=False, index="a", delta={"type": "text_delta", "text": "a"}),
            event("content_block_delta", judged=False, index=0, delta={"type": "text_delta", "text": 5}),
            b'data: {"type":"content_block_delta","delta":' + b"[" * 5000 + b"\n\n",
        ],
    )  # fmt: skip
    def test_what_cannot_be_understood_is_malformed(self, broken: bytes) -> None:
        assert MALFORMED == translated(start(), broken)[-len(MALFORMED) :]
        assert EventKind.MALFORMED is kinds(MALFORMED)[0]

    def test_an_event_without_end_is_malformed_and_the_last(self) -> None:
        translator = ANTHROPIC.translator(READING)

        out = [translator.feed(b"data: " + b"a" * MAX_EVENT), translator.feed(start()), translator.end()]

        assert [MALFORMED, b"", b""] == out

    def test_what_comes_before_the_message_begins_is_not_lost(self) -> None:
        out = translated(text_block(0, "a"), stop())

        assert [
            EventKind.NO_CONTENT,
            EventKind.CONTENT,
            EventKind.NO_CONTENT,
            EventKind.USAGE,
            EventKind.DONE,
        ] == kinds(out)
        assert b'"id":"chatcmpl-own"' in out

    def test_halves_of_surrogate_pairs_pass(self) -> None:
        found = deltas_of(translated(start(), text_block(0, "a \ud83d", "\ude00"), stop()))

        assert ["a \ud83d", "\ude00"] == [each["content"] for each in found if each.get("content")]


def deltas_of(out: bytes) -> list[dict[str, Any]]:
    events = [json.loads(each.data or b"{}") for each in EventFramer().feed(out) if each.data != b"[DONE]"]
    return [each["choices"][0]["delta"] for each in events if each["choices"]]
