"""Events that are known by their bytes: as many as there are, and never one that is something else."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.streams.pattern import Pattern

PATTERN = Pattern(b'{"n":1,"content":"', b'","end":null}')
HALVES = ["\ud83d", "\ude00"]
TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        '"', "\\", '"\\', '\\"', '","', '",\n"', "\n", "\n\n", "\r\n", "\t", "\x00", "\x7f", "中文", "😀",
        "e\u0301", "\u2028",
        '","end":null}', *HALVES,
    ]
)  # fmt: skip
INNER = st.binary(max_size=8) | st.sampled_from(
    [
        b"a", b"", b'"', b"\\", b"a\\", b',"r', b'","', b'",\n"', b'\\"', b"\\u00e9",
        b"\\u00", b"\\ud83d", b"\\ud83d\\ude00",
        b"\xff", b"\xe4\xb8", b"\xed\xa0\xbd", b"\xc0\x80", b"\n", b"\n\n", b"\r", b"\x00", b"\x1f", b"\x7f",
        b'","end":null}', b'","end":null}\n\n', b'","end":null,"content":"', "é中😀".encode(),
    ]
)  # fmt: skip


def event(inner: bytes) -> bytes:
    return b'data: {"n":1,"content":"' + inner + b'","end":null}\n\n'


def spelled(text: str) -> bytes:
    """A text as JSON would have it, in one of two ways."""
    plain = not any(half in text for half in HALVES)
    return json.dumps(text, ensure_ascii=not plain).encode()[1:-1]


def is_text(inner: bytes) -> bool:
    """Whether bytes between quotes are a text that says something, by the strictest reading."""
    try:
        value = json.loads(b'"' + inner.decode().encode() + b'"')
        value.encode()
    except (ValueError, RecursionError):
        return False
    return isinstance(value, str) and value != ""


@pytest.mark.parametrize(
    ("data", "count", "rest"),
    [
        (event(b"a"), 1, b""),
        (event(b"a") * 3, 3, b""),
        (event(b"a") + event(b"b")[:-1], 1, event(b"b")[:-1]),
        (event(b"a") * 3 + event(b"b")[:20], 3, event(b"b")[:20]),
        (event(b"a") + b"data: [DONE]\n\n", 1, b"data: [DONE]\n\n"),
        (event(b"a") + b": a comment\n\n" + event(b"b")[:-1], 1, b": a comment\n\n" + event(b"b")[:-1]),
        (event(b""), 0, None),
        (event(b"a") + event(b""), 0, None),
        (event(b'a","end":null}') + event(b"b"), 0, None),
        (b": a comment\n\n" + event(b"a"), 0, None),
        (b"\n" + event(b"a"), 0, None),
        (event(b"a").replace(b"\n", b"\r\n"), 0, None),
        (event(b"a")[:-1], 0, None),
        (b"", 0, None),
        (event(b"p\\") + event(b',"r'), 0, None),
    ],
)
def test_how_many_there_are(data: bytes, count: int, rest: bytes | None) -> None:
    found, end = PATTERN.lead(data)

    assert (count, data if rest is None else rest) == (found, data[end:])


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=5))
def test_texts_of_all_kinds(texts: list[str]) -> None:
    """Most are known; those are in doubt that hold half a character, and are read as ever."""
    data = b"".join(event(spelled(text)) for text in texts)
    halves = any(half in text for text in texts for half in HALVES)

    count, end = PATTERN.lead(data)
    assert (count, end) in ({(len(texts), len(data)), (0, 0)} if halves else {(len(texts), len(data))})


@settings(max_examples=1000)
@given(
    st.lists(INNER, min_size=1, max_size=4), st.sampled_from([b"", b"data: ", b"data: [DONE]\n\n", event(b"a")[:-1]])
)
@example([b"p\\", b',"r'], b"")
@example([b"p\\", b',"q', b'","r'], b"")
def test_nothing_but_texts(inners: list[bytes], behind: bytes) -> None:
    data = b"".join(event(inner) for inner in inners) + behind

    count, end = PATTERN.lead(data)
    led = data[:end]
    assert (count == 0) == (end == 0)
    blocks = led.split(b"\n\n")
    assert (count, b"") == (len(blocks) - 1, blocks[-1])
    before, after = event(b"|").removesuffix(b"\n\n").split(b"|")
    for block in blocks[:-1]:
        assert block.startswith(before)
        assert block.endswith(after)
        assert is_text(block[len(before) : len(block) - len(after)])
