"""Chat events as Anthropic's."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.chat_events import DONE, ChatEvents
from proxy.dialects.messages.wire import MESSAGES
from tests.dialects.messages.oracle import blocks_of, events_of, heard, speaking

CHAT = ChatEvents("chatcmpl-1", 1, "m")
USAGE = CHAT.usage({"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}})
START = ("message_start",)
END = ("message_delta", "message_stop")


def encoded(*events: bytes, **request: Any) -> bytes:
    encoder = MESSAGES.encoder(speaking(**request))
    return b"".join(encoder.feed(event) for event in events)


def piece(index: int, arguments: str = "", id_: str | None = None, name: str | None = None) -> bytes:
    call = {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}
    return CHAT.delta({"tool_calls": [call]})


def types(stream: bytes) -> list[str]:
    return [event["type"] for event in events_of(stream)]


def test_text() -> None:
    stream = encoded(CHAT.role(), CHAT.text("Hel"), CHAT.text("lo"), CHAT.finish("stop"), USAGE, DONE)
    assert [
        *START,
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        *END,
    ] == types(stream)
    events = events_of(stream)
    assert ("msg_x1", "m", []) == tuple(events[0]["message"][name] for name in ("id", "model", "content"))
    assert {"stop_reason": "end_turn", "stop_sequence": None} == events[-2]["delta"]
    message = heard(stream)
    assert "Hello" == message.content[0].text  # type: ignore[union-attr]
    assert (8, 4, 3) == (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens)


def test_the_message_starts_before_a_call_that_comes_first() -> None:
    """CLIProxyAPI#561."""
    stream = encoded(piece(0, "{}", "call_1", "look"), CHAT.finish("tool_calls"), DONE)
    assert [*START, "content_block_start", "content_block_delta", "content_block_stop", *END] == types(stream)
    assert [{"type": "tool_use", "id": "call_1", "name": "look", "input": {}, "json": "{}"}] == blocks_of(stream)
    message = heard(stream)
    assert ("tool_use", "tool_use") == (message.stop_reason, message.content[0].type)


def test_thoughts_text_and_calls_are_one_block_each() -> None:
    stream = encoded(
        CHAT.role(),
        CHAT.reasoning("Hm"),
        CHAT.reasoning("m"),
        CHAT.text("Well"),
        CHAT.call(0, "call_1", "look"),
        CHAT.arguments(0, '{"at":'),
        CHAT.arguments(0, '"it"}'),
        CHAT.finish("tool_calls"),
        USAGE,
        DONE,
    )
    assert [
        {"type": "thinking", "thinking": "Hmm", "signature": "", "json": ""},
        {"type": "text", "text": "Well", "json": ""},
        {"type": "tool_use", "id": "call_1", "name": "look", "input": {}, "json": '{"at":"it"}'},
    ] == blocks_of(stream)
    assert ["thinking", "text", "tool_use"] == [block.type for block in heard(stream).content]
    assert {"at": "it"} == heard(stream).content[2].input  # type: ignore[union-attr]


def test_mixed_pieces_of_parallel_calls_are_told_apart() -> None:
    """Switchyard#760, praxis#266, kitty-bridge#116."""
    stream = encoded(
        CHAT.role(),
        piece(0, '{"a"', "call_a", "f"),
        piece(1, '{"b"', "call_b", "g"),
        piece(0, ":1"),
        piece(1, ":2"),
        piece(0, "}"),
        piece(1, "}"),
        CHAT.finish("tool_calls"),
        DONE,
    )
    assert [("call_a", "f", '{"a":1}'), ("call_b", "g", '{"b":2}')] == [
        (block["id"], block["name"], block["json"]) for block in blocks_of(stream)
    ]


def test_a_call_whose_arguments_are_whole_does_not_hold_up_the_next() -> None:
    encoder = MESSAGES.encoder(speaking())
    encoder.feed(piece(0, '{"a":"}"}', "call_a", "f"))
    assert b'"partial_json":"{\\"b\\""' in encoder.feed(piece(1, '{"b"', "call_b", "g"))


def test_a_call_whose_arguments_are_not_whole_holds_up_what_comes() -> None:
    encoder = MESSAGES.encoder(speaking())
    encoder.feed(piece(0, '{"a":"}', "call_a", "f"))
    assert b"" == encoder.feed(CHAT.text("so"))
    assert b"" == encoder.feed(piece(1, "{}", "call_b", "g"))
    assert ["content_block_delta", "content_block_stop"] == types(encoder.feed(piece(0, '"}')))[:2]


def test_id_and_name_with_every_piece() -> None:
    stream = encoded(*(piece(0, part, "call_a", "f") for part in ('{"a"', ":1", "}")), CHAT.finish("tool_calls"), DONE)
    assert [("call_a", "f", '{"a":1}')] == [(its["id"], its["name"], its["json"]) for its in blocks_of(stream)]


def test_a_call_begins_when_its_name_is_known() -> None:
    stream = encoded(piece(0, '{"a"', "call_a"), piece(0, ":1}", None, "f"), CHAT.finish("tool_calls"), DONE)
    assert [("call_a", "f", '{"a":1}')] == [(its["id"], its["name"], its["json"]) for its in blocks_of(stream)]


def test_a_call_without_an_id_gets_one() -> None:
    stream = encoded(piece(0, "{}", None, "f"), piece(1, "{}", "", "g"), CHAT.finish("tool_calls"), DONE)
    assert ["toolu_x11", "toolu_x12"] == [block["id"] for block in blocks_of(stream)]


def test_a_call_that_never_gets_a_name_is_none() -> None:
    stream = encoded(CHAT.text("so"), piece(0, "{}", "call_a"), CHAT.finish("stop"), DONE)
    assert ["text"] == [block["type"] for block in blocks_of(stream)]
    assert "end_turn" == events_of(stream)[-2]["delta"]["stop_reason"]


def test_calls_that_all_have_the_same_index() -> None:
    """litellm#16194."""
    stream = encoded(piece(0, "{}", "call_a", "f"), piece(0, '{"b":2}', "call_b", "f"), CHAT.finish("stop"), DONE)
    assert [("call_a", "{}"), ("call_b", '{"b":2}')] == [(its["id"], its["json"]) for its in blocks_of(stream)]


def test_another_id_within_a_call_makes_no_other_call() -> None:
    pieces = [piece(0, part, id_, "f") for part, id_ in (('{"a"', "call_a"), (":1", "call_b"), ("}", "call_c"))]
    stream = encoded(*pieces, CHAT.finish("tool_calls"), DONE)
    assert [("call_a", '{"a":1}')] == [(block["id"], block["json"]) for block in blocks_of(stream)]


def test_calls_without_end_are_not_all_kept() -> None:
    events = [piece(index, '{"a"', f"c{index}", "f") for index in range(1500)]
    stream = encoded(*events, CHAT.finish("tool_calls"), DONE)
    assert 1024 == len(blocks_of(stream))


def test_only_the_first_choice_is_told() -> None:
    other = CHAT.text("other").replace(b'"index":0', b'"index":1')
    stream = encoded(CHAT.text("one"), other, CHAT.finish("stop"), DONE)
    assert ["one"] == [block["text"] for block in blocks_of(stream)]


def test_usage_before_the_finish_reason_ends_nothing() -> None:
    """Some upstreams tell the usage so far all the time."""
    stream = encoded(USAGE, CHAT.text("so"), USAGE, CHAT.text(" on"), CHAT.finish("stop"), DONE)
    assert ["so on"] == [block["text"] for block in blocks_of(stream)]
    assert 3 == events_of(stream)[-2]["usage"]["output_tokens"]


def test_ids_are_such_as_anthropic_takes_back() -> None:
    stream = encoded(piece(0, "{}", "functions.look:0", "look"), CHAT.finish("tool_calls"), DONE)
    assert "functions_look_0" == blocks_of(stream)[0]["id"]


def test_a_name_that_was_cut_is_whole_again() -> None:
    name = "mcp__" + "long_" * 20
    tools = [{"name": name, "input_schema": {"type": "object"}}]
    fields = MESSAGES.to_chat(speaking(tools=tools).request)
    sent = json.loads(bytes(fields["tools"]))[0]["function"]["name"]
    assert 64 == len(sent)
    stream = encoded(piece(0, "{}", "call_a", sent), CHAT.finish("tool_calls"), DONE, tools=tools)
    assert name == blocks_of(stream)[0]["name"]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    stream = encoded(CHAT.call(0, "call_a", "f"), CHAT.finish("tool_calls"), DONE)
    assert "{}" == blocks_of(stream)[0]["json"]
    assert {} == heard(stream).content[0].input  # type: ignore[union-attr]


def test_the_end_waits_for_the_usage() -> None:
    """Which some upstreams tell with the finish reason, most behind it (kitty-bridge#122)."""
    encoder = MESSAGES.encoder(speaking())
    assert ["message_start", "content_block_start", "content_block_delta"] == types(encoder.feed(CHAT.text("so")))
    assert ["content_block_stop"] == types(encoder.feed(CHAT.finish("stop")))
    assert list(END) == types(encoder.feed(USAGE))
    assert b"" == encoder.feed(DONE)


def test_usage_with_the_finish_reason() -> None:
    chunk = json.loads(CHAT.finish("stop")[6:]) | {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    stream = encoded(CHAT.text("so"), b"data: " + json.dumps(chunk).encode() + b"\n\n", DONE)
    assert (5, 2) == tuple(events_of(stream)[-2]["usage"][name] for name in ("input_tokens", "output_tokens"))


def test_without_any_usage_it_is_estimated() -> None:
    stream = encoded(CHAT.text("so many words"), CHAT.finish("stop"), DONE)
    usage = events_of(stream)[-2]["usage"]
    assert 0 < usage["input_tokens"] < 10 and 0 < usage["output_tokens"] < 10


def test_cached_tokens_are_no_input_tokens() -> None:
    """ogx#6415; more are cached than there were, and less than none is not told."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    stream = encoded(CHAT.text("so"), CHAT.finish("stop"), CHAT.usage(usage), DONE)
    assert {
        "input_tokens": 0,
        "cache_read_input_tokens": 8,
        "cache_creation_input_tokens": 5,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 6},
    } == events_of(stream)[-2]["usage"]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "refusal"),
        ("model_length", "max_tokens"),
        ("eos", "end_turn"),
    ],
)
def test_stop_reasons(finish: str, reason: str) -> None:
    stream = encoded(CHAT.text("so"), CHAT.finish(finish), DONE)
    assert reason == events_of(stream)[-2]["delta"]["stop_reason"]
    assert reason == heard(stream).stop_reason


def test_stopped_although_tools_were_called() -> None:
    stream = encoded(piece(0, "{}", "call_a", "f"), CHAT.finish("stop"), DONE)
    assert "tool_use" == events_of(stream)[-2]["delta"]["stop_reason"]


def test_the_stop_sequence_that_vllm_tells() -> None:
    chunk = CHAT.finish("stop").replace(b'"finish_reason"', b'"stop_reason":"END","finish_reason"')
    stream = encoded(CHAT.text("so"), chunk, DONE, stop_sequences=["END"])
    assert {"stop_reason": "stop_sequence", "stop_sequence": "END"} == events_of(stream)[-2]["delta"]
    for others in (["FIN"], "END", None):
        stream = encoded(CHAT.text("so"), chunk, DONE, stop_sequences=others)
        assert "end_turn" == events_of(stream)[-2]["delta"]["stop_reason"]


def test_a_refusal() -> None:
    stream = encoded(CHAT.delta({"refusal": "I "}), CHAT.delta({"refusal": "won't"}), CHAT.finish("stop"), DONE)
    assert "I won't" == blocks_of(stream)[0]["text"]
    delta = events_of(stream)[-2]["delta"]
    assert ("refusal", "I won't") == (delta["stop_reason"], delta["stop_details"]["explanation"])


def test_signed_thoughts() -> None:
    stream = encoded(
        CHAT.reasoning("Hm"),
        CHAT.delta({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s1"}]}),
        CHAT.delta({"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]}),
        CHAT.delta({"thinking_blocks": [{"type": "thinking", "thinking": "again", "signature": "s2"}]}),
        CHAT.delta({"thinking_blocks": [{"type": "thinking", "signature": "s3"}]}),
        CHAT.text("So"),
        CHAT.finish("stop"),
        DONE,
    )
    assert [
        {"type": "thinking", "thinking": "Hm", "signature": "s1", "json": ""},
        {"type": "redacted_thinking", "data": "d", "json": ""},
        {"type": "thinking", "thinking": "again", "signature": "s2", "json": ""},
        {"type": "thinking", "thinking": "", "signature": "s3", "json": ""},
        {"type": "text", "text": "So", "json": ""},
    ] == blocks_of(stream)


def test_thoughts_that_are_told_again_when_they_are_signed() -> None:
    blocks = [{"type": "thinking", "thinking": "Hmm", "signature": "s"}]
    stream = encoded(
        CHAT.role(),
        CHAT.reasoning("Hm"),
        CHAT.reasoning("m"),
        CHAT.delta({"thinking_blocks": blocks}),
        CHAT.reasoning("More"),
        CHAT.delta({"thinking_blocks": [{"type": "thinking", "thinking": "More", "signature": "t"}]}),
        CHAT.text("So"),
        CHAT.finish("stop"),
        DONE,
    )
    assert [("Hmm", "s"), ("More", "t")] == [
        (block["thinking"], block["signature"]) for block in blocks_of(stream) if block["type"] == "thinking"
    ]


def test_thoughts_that_are_told_twice_in_one_event() -> None:
    both = {"reasoning_content": "Hm", "thinking_blocks": [{"type": "thinking", "thinking": "Hm"}]}
    late = {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "late"}]}
    stream = encoded(CHAT.delta(both), CHAT.delta(both), CHAT.text("So"), CHAT.delta(late), CHAT.finish("stop"), DONE)
    assert [("thinking", "HmHm", ""), ("text", None, None)] == [
        (block["type"], block.get("thinking"), block.get("signature")) for block in blocks_of(stream)
    ]


def test_content_in_parts() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": "text", "text": "So"},
    ]
    stream = encoded(CHAT.delta({"content": content}), CHAT.finish("stop"), DONE)
    assert [("thinking", "Hm"), ("text", "So")] == [
        (block["type"], block.get("thinking") or block.get("text")) for block in blocks_of(stream)
    ]


def test_comments_become_pings() -> None:
    """But none before the message has begun."""
    stream = encoded(b": waiting\n\n", CHAT.text("so"), b": keep-alive\n\n", CHAT.finish("stop"), DONE)
    assert [*START, "content_block_start", "content_block_delta", "ping", "content_block_stop", *END] == types(stream)
    assert "so" == heard(stream).content[0].text  # type: ignore[union-attr]


def test_nothing_is_made_up_without_a_finish_reason() -> None:
    assert "message_stop" not in types(encoded(CHAT.text("so"), USAGE, DONE))


def test_an_error_ends_the_stream() -> None:
    encoder = MESSAGES.encoder(speaking())
    stream = encoder.feed(CHAT.text("so")) + encoder.error("It broke.", "stream_broken", reason="r", retryable=True)
    assert b"" == encoder.feed(CHAT.finish("stop") + DONE)
    with pytest.raises(anthropic.APIStatusError) as raised:
        heard(stream)
    assert "overloaded_error" == raised.value.body["error"]["type"]  # type: ignore[call-overload,index]
    assert {"error_code": "stream_broken", "reason": "r", "retryable": True} == raised.value.body["error"]["details"]  # type: ignore[call-overload,index]


def test_half_a_surrogate_pair_goes_on() -> None:
    stream = encoded(b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n', CHAT.finish("stop"), DONE)
    assert "a\ud83d" == blocks_of(stream)[0]["text"]


objects = st.dictionaries(st.text(max_size=4), st.text(max_size=8) | st.integers() | st.lists(st.text(max_size=3)))


@st.composite
def mixed(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Inputs of parallel calls, and the events that tell them, cut and mixed at will."""
    inputs = draw(st.lists(objects, min_size=1, max_size=4))
    pieces = []
    for index, its in enumerate(inputs):
        text = json.dumps(its, ensure_ascii=draw(st.booleans()))
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=5)))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        named = draw(st.integers(0, len(parts) - 1))
        repeated = draw(st.booleans())
        pieces.append(
            [
                piece(index, part, f"c{index}", f"f{index}" if place == named or (repeated and place > named) else None)
                for place, part in enumerate(parts)
            ]
        )
    events = []
    while any(pieces):
        its = draw(st.sampled_from([each for each in pieces if each]))
        events.append(its.pop(0))
        if draw(st.integers(0, 4)) == 0:
            events.append(draw(st.sampled_from([CHAT.text("so"), CHAT.reasoning("hm"), b": ping\n\n"])))
    return inputs, [*events, CHAT.finish("tool_calls"), USAGE, DONE]


@given(mixed())
def test_mixed_calls_are_never_open_at_once_and_lose_nothing(case: tuple[list[dict[str, Any]], list[bytes]]) -> None:
    inputs, events = case
    blocks = [block for block in blocks_of(encoded(*events)) if block["type"] == "tool_use"]
    assert {f"f{index}": its for index, its in enumerate(inputs)} == {
        block["name"]: json.loads(block["json"]) for block in blocks
    }
    assert len(inputs) == len(blocks)


@given(mixed(), st.data())
def test_how_events_are_fed_makes_no_difference(
    case: tuple[list[dict[str, Any]], list[bytes]], data: st.DataObject
) -> None:
    events = case[1]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=6)))
    fed = [b"".join(events[a:b]) for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    assert encoded(*events) == encoded(*fed)


NAMES = [
    "index", "id", "function", "name", "arguments", "content", "text", "type", "thinking", "tool_calls",
    "delta", "finish_reason", "reasoning_content", "thinking_blocks", "signature", "refusal", "stop_reason",
]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["stop", "thinking", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage", "id"]), values | st.lists(values)), max_size=4))
def test_no_event_trips_it(chunks: list[dict[str, Any]]) -> None:
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    stream = encoded(*events, CHAT.finish("stop"), DONE)
    blocks_of(stream)
    assert list(END) == types(stream)[-2:]
