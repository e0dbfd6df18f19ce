"""Streams of Messages split anywhere, and streams of whatever a server might send."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.chat_events import DONE
from proxy.streams.sse import EventFramer
from tests.dialects.anthropic.oracle import block, call_block, event, start, stop, text_block, translated
from tests.dialects.anthropic.test_answer import ANSWER, JSON

PING = event("ping", judged=False)

WHOLE = b"".join(
    (
        start(),
        PING,
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        text_block(1, "Grüße", " \U0001f600", "\n\n"),
        call_block(2, "toolu_1", "look", '{"a":', '"\\n"}'),
        call_block(3, "toolu_2", "hear"),
        stop("tool_use"),
    )
)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_litellm_17473_16562_a_stream_split_anywhere_is_the_same(cuts: list[int], line_end: bytes) -> None:
    whole = WHOLE.replace(b"\n", line_end)
    places = [0, *sorted(cuts), len(whole)]

    pieces = [whole[begin:end] for begin, end in itertools.pairwise(places)]

    assert translated(WHOLE) == translated(*pieces)


def test_event_by_event_it_is_the_same() -> None:
    pieces = [each + b"\n\n" for each in WHOLE.split(b"\n\n") if each]

    assert translated(WHOLE) == translated(*pieces)


TYPES = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error"]
)
PARTS = st.sampled_from(["text", "tool_use", "thinking", "text_delta", "thinking_delta", "input_json_delta"])
MEMBERS = st.fixed_dictionaries(
    {"type": PARTS | JSON},
    optional={
        name: st.text() | JSON
        for name in ("text", "thinking", "signature", "partial_json", "id", "name", "input", "stop_reason", "usage")
    },
)
EVENTS = st.fixed_dictionaries(
    {"type": TYPES | JSON},
    optional={
        "index": st.integers(0, 2) | JSON,
        **dict.fromkeys(("delta", "content_block", "message", "usage", "error"), MEMBERS | JSON),
    },
)


@given(st.lists(EVENTS | JSON, max_size=8))
def test_nothing_that_a_server_streams_raises(values: list[Any]) -> None:
    pieces = [b"data: %b\n\n" % json.dumps(value).encode() for value in values]

    out = translated(*pieces, event("message_stop"), reading=ANSWER)

    assert out.endswith(DONE)
    assert all(each.data for each in EventFramer().feed(out))


@given(st.lists(st.binary(), max_size=5))
def test_nor_do_bytes(pieces: list[bytes]) -> None:
    assert isinstance(translated(*pieces), bytes)
