"""Binary messages out of bytes, compared with Amazon's own reader."""

import struct
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.bedrock.frames import Frame, FrameReader
from proxy.streams.sse import MAX_EVENT
from tests.dialects.bedrock.oracle import frame, read_frames
from tests.dialects.chat_oracle import pieces

HELLO = frame({":message-type": "event", ":event-type": "x"}, b'{"a":1}')
WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CUTS = st.lists(st.integers(0, 600), max_size=10)


def read(data: bytes, cuts: list[int] = []) -> tuple[list[Frame], bool]:  # noqa: B006
    reader = FrameReader()
    return [each for piece in pieces(data, cuts) for each in reader.feed(piece)], reader.corrupt


def sealed(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.dictionaries(WORD, WORD, max_size=3), st.binary(max_size=60)), max_size=4), CUTS)
def test_any_split_reads_the_same(messages: list[tuple[dict[str, str], bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(headers, payload) for headers, payload in messages)

    expected = [Frame(headers, payload) for headers, payload in messages]
    assert (expected, False) == read(stream, cuts)


def test_headers_of_every_type() -> None:
    values = {
        0: b"", 1: b"", 2: b"\x01", 3: b"\x01\x02", 4: b"\x01" * 4, 5: b"\x01" * 8, 6: b"\x00\x02ab", 8: b"\x01" * 8,
        9: b"\x01" * 16,
    }  # fmt: skip
    headers = b"".join(b"\x01" + str(kind).encode() + bytes((kind,)) + value for kind, value in values.items())
    message = sealed(headers + b"\x01s\x07\x00\x01v", b"p")

    assert [str(kind) for kind in values] + ["s"] == list(read_frames(message)[0][0])
    assert ([Frame({"s": "v"}, b"p")], False) == read(message)


def test_every_flipped_bit_is_found() -> None:
    for place in range(len(HELLO) * 8):
        spoiled = bytearray(HELLO)
        spoiled[place // 8] ^= 1 << place % 8
        frames, corrupt = read(HELLO + spoiled + HELLO)
        assert (1, True) == (len(frames), corrupt)


@pytest.mark.parametrize(
    "headers",
    [b"\x05ab", b"\x01a", b"\x01a\x07", b"\x01a\x07\x00", b"\x01a\x07\x00\x05x", b"\x01a\x0a", b"\x01\xff\x07\x00\x00"],
)
def test_headers_that_are_cut_or_unknown(headers: bytes) -> None:
    assert ([], True) == read(sealed(headers))


@pytest.mark.parametrize("size", [0, 15, MAX_EVENT + 1, 2**32 - 1])
def test_a_length_that_is_none(size: int) -> None:
    prelude = struct.pack(">II", size, 0)

    assert ([], True) == read(prelude + struct.pack(">I", crc32(prelude)))


def test_nothing_is_kept_of_what_was_read() -> None:
    reader = FrameReader()
    for _ in range(1000):
        assert 1 == len(reader.feed(HELLO))
    assert 0 == len(reader._buffer)
    for number in range(100):
        reader.feed(frame({"n": str(number)}, b""))
    assert len(reader._known) < 20


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), CUTS)
def test_garbage_never_raises(garbage: bytes, cuts: list[int]) -> None:
    assert read(HELLO + garbage) == read(HELLO + garbage, cuts)
