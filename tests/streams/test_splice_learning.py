"""A stream that learns what its events look like gives and tells what one does that reads every event."""

from __future__ import annotations

import itertools
import json
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.openai.chat import event_reader
from proxy.dialects.openai.pattern import pattern_of
from proxy.dialects.registry import KINDS
from proxy.streams.resume import HoldBack
from proxy.streams.splice import Splice, StreamState


def chunk(delta: str, finish: str = "null", more: str = "") -> bytes:
    return (
        '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
        f'{{{delta}}},"finish_reason":{finish}}}]{more}}}'
    ).encode()


def says(text: str) -> bytes:
    return chunk(f'"content":{text}')


SAYS = st.sampled_from(['"a"', '"hello"', '" 中文"', '"\\n"', '"\\u00e9"', '"\\""', '"😀"', '"' + "x" * 900 + '"']).map(
    says
)
OTHERS = st.sampled_from(
    [
        chunk('"role":"assistant"'),
        chunk('"role":"assistant","content":""'),
        says('""'),
        says("null"),
        says('"\\"'),
        says('","r"'),
        says('"\\ud83d"'),
        says('"\\ude00"'),
        chunk('"reasoning_content":"hm"'),
        chunk('"reasoning":"hm"'),
        chunk("", '"stop"'),
        chunk('"content":"z"', '"stop"'),
        chunk("", '"length"'),
        chunk('"content":"y"', "null", ',"usage":{"total_tokens":1}'),
        b'{"id":"c","choices":[],"usage":{"total_tokens":3}}',
        b"[DONE]",
        b'{"error":{"message":"broken"}}',
        b"{",
        b"",
        b"\xff",
        says('"a"') + b"\xff",
        chunk('"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]'),
        chunk('"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]'),
        says('"b"').replace(b'"index":0', b'"index":1'),
        says('"a\nb"'),
        says('"a\rb"'),
    ]
)
LINES = st.sampled_from(
    [b"data: %b\n\n"] * 12
    + [b"data:%b\n\n", b"data: %b\r\n\r\n", b"data: %b\r\r", b"id: 1\ndata: %b\n\n", b"data: %b\n\n\n"]
)
BLOCKS = st.builds(lambda line, data: line.replace(b"%b", data), LINES, SAYS | SAYS | SAYS | OTHERS) | st.sampled_from(
    [b": ping\n\n", b"\n", b"event: x\n\n", b"\xef\xbb\xbf", b"error: x\n\n"]
)
STREAMS = st.lists(BLOCKS, max_size=25).map(b"".join)
TAIL = b"data: " + chunk("", '"stop"') + b"\n\ndata: [DONE]\n\n"


class Told(NamedTuple):
    """What became of a stream."""

    out: bytes
    state: StreamState
    failure: str | None
    contents: int
    usage: bytes | None
    holding: bool
    finishing: bool
    finished: bool


def read_error(data: bytes) -> Failure:
    return Failure(FailureClass.OVERLOADED, "in_band_error", data.decode("latin-1"))


def run(
    pieces: list[bytes], kind: str, hold: HoldBack, *, learn: bool, show_usage: bool, choices: int
) -> tuple[Told, list[bytes]]:
    read = event_reader(KINDS[kind].quirks)
    learning = {"learn": pattern_of} if learn else {}
    splice = Splice(read, read_error, show_usage=show_usage, choices=choices, hold=hold, **learning)
    outs = []
    for piece in pieces:
        outs.append(splice.feed(piece))
        if splice.state in {StreamState.DONE, StreamState.BROKEN}:
            break
    outs.append(splice.end())
    failure = None if splice.failure is None else splice.failure.code
    return (
        Told(
            b"".join(outs), splice.state, failure, splice.contents, splice.usage, splice.holding, splice.finishing,
            splice.finished,
        ),
        outs,
    )  # fmt: skip


def compare(
    pieces: list[bytes], kind: str, hold: HoldBack = HoldBack.TOOLS, *, show_usage: bool = True, choices: int = 1
) -> None:
    learning = run(pieces, kind, hold, learn=True, show_usage=show_usage, choices=choices)
    reading = run(pieces, kind, hold, learn=False, show_usage=show_usage, choices=choices)
    assert reading == learning


KIND = st.sampled_from(["openai", "vllm", "openrouter", "mistral", "deepseek"])
LONG = b"data: " + says('"' + "x" * 900 + '"') + b"\n\n"
SHORT = b"data: " + says('"a"') + b"\n\n"


@settings(max_examples=600)
@given(
    stream=STREAMS,
    places=st.lists(st.integers(0, 20_000), max_size=10),
    kind=KIND,
    hold=st.sampled_from(list(HoldBack)),
    show_usage=st.booleans(),
    choices=st.sampled_from([1, 1, 1, 2]),
    finished=st.booleans(),
)
@example(SHORT + SHORT + b"data: {\n\n" + SHORT + LONG * 9, [len(SHORT)], "openai", HoldBack.NONE, True, 1, False)
@example(SHORT + SHORT + TAIL + LONG * 9, [len(SHORT)], "openai", HoldBack.NONE, True, 1, False)
def test_however_it_is_cut(
    stream: bytes,
    places: list[int],
    kind: str,
    hold: HoldBack,
    show_usage: bool,
    choices: int,
    finished: bool,
) -> None:
    data = stream + TAIL if finished else stream
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(ends)] if data else []

    compare(pieces, kind, hold, show_usage=show_usage, choices=choices)


@settings(max_examples=300)
@given(blocks=st.lists(BLOCKS, max_size=30), kind=KIND)
def test_event_by_event(blocks: list[bytes], kind: str) -> None:
    compare([*(block for block in blocks if block), TAIL], kind)


@settings(max_examples=60)
@given(stream=st.lists(BLOCKS, max_size=8).map(b"".join))
def test_byte_by_byte(stream: bytes) -> None:
    compare([bytes([byte]) for byte in stream + TAIL], "openai")


@pytest.mark.parametrize("size", [None, 1000, 20_000, 10**9])
def test_most_events_are_not_read(size: int | None) -> None:
    """What all this is for: one event at a time, and many of them wherever the pieces end."""
    asked = [0]
    read = event_reader(KINDS["openai"].quirks)

    def counting(data: bytes):
        asked[0] += 1
        return read(data)

    splice = Splice(counting, read_error, show_usage=False, learn=pattern_of)
    events = [b"data: " + says(json.dumps(f"word {number}")) + b"\n\n" for number in range(500)]
    data = b"".join(events)
    pieces = events if size is None else [data[at : at + size] for at in range(0, len(data), size)]
    out = b"".join(splice.feed(piece) for piece in pieces)

    assert (data, 500) == (out, splice.contents)
    assert asked[0] < 5 if size is None else asked[0] < 25 + len(pieces)


@pytest.mark.parametrize(("role", "read"), [("", 3), ('"role":"assistant",', 4)])
def test_the_first_content_is_the_lesson_unless_a_role_stands_in_it(role: str, read: int) -> None:
    """It is read once, and twice more to learn from it; with a role in it nothing is learned from it."""
    asked: list[bytes] = []
    reader = event_reader(KINDS["openai"].quirks)

    def counting(data: bytes):
        asked.append(data)
        return reader(data)

    splice = Splice(counting, read_error, show_usage=False, learn=pattern_of)
    first = b"data: " + chunk(role + '"content":"one"') + b"\n\n"
    others = [b"data: " + chunk(f'"content":"{text}"') + b"\n\n" for text in ("two", "three", "four")]

    assert [first, *others] == [splice.feed(event) for event in (first, *others)]
    assert read == len(asked)
