"""Plain chunks go by the parser, and nobody can tell: whatever is sent, and however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.upstreams.answer import Answer
from proxy.upstreams.chunks import chunk_length, one_chunk, plain_chunks
from tests.upstreams.parsers_own import ParsersOwn, cut, read

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"5\r\nhello\r\n", b"hello"),
        (b"1\r\n\n\r\n", b"\n"),
        (b"10\r\n0123456789abcdef\r\n", b"0123456789abcdef"),
        (b"a\r\n0123456789\r\n", b"0123456789"),
        (b"6\r\nhe\r\nlo\r\n", b"he\r\nlo"),
        (b"A\r\n0123456789\r\n", None),
        (b"05\r\nhello\r\n", None),
        (b"5;a=b\r\nhello\r\n", None),
        (b"5 \r\nhello\r\n", None),
        (b"5\nhello\n", None),
        (b"5\r\nhello\n\n", None),
        (b"5\r\nhell\r\n", None),
        (b"4\r\nhello\r\n", None),
        (b"5\r\nhello\r\n5\r\nhello\r\n", None),
        (b"0\r\n\r\n", None),
        (b"\r\n\r\n", None),
        (b"5\r\nhello", None),
        (b"5", None),
        (b"", None),
    ],
)
def test_exactly_one_chunk(data: bytes, content: bytes | None) -> None:
    assert content == one_chunk(data)


@pytest.mark.parametrize(
    ("data", "contents", "rest"),
    [
        (b"", [], b""),
        (b"5\r\nhello\r\n", [b"hello"], b""),
        (b"5\r\nhello\r\n1\r\n!\r\n", [b"hello", b"!"], b""),
        (b"5\r\nhello\r\n0\r\n\r\n", [b"hello"], b"0\r\n\r\n"),
        (b"5\r\nhello\r\n5\r\nhel", [b"hello"], b"5\r\nhel"),
        (b"5\r\nhello\r\n5", [b"hello"], b"5"),
        (b"5\r\nhello\r\n5\r", [b"hello"], b"5\r"),
        (b"5\r\nhello\r", [], b"5\r\nhello\r"),
        (b"6\r\nhe\r\nlo\r\n", [], b"6\r\nhe\r\nlo\r\n"),
        (b"5\r\nhello\r\nnone\r\n\r\n", [b"hello"], b"none\r\n\r\n"),
        (b"5\r\nhello\r\n05\r\nhello\r\n5\r\nhello\r\n", [b"hello"], b"05\r\nhello\r\n5\r\nhello\r\n"),
        (b"0\r\n\r\nHTTP/1.1 200 OK\r\n", [], b"0\r\n\r\nHTTP/1.1 200 OK\r\n"),
    ],
)
def test_the_plain_ones_before_all_else(data: bytes, contents: list[bytes], rest: bytes) -> None:
    assert (contents, rest) == plain_chunks(data)


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"5\r\nhel", 10),
        (b"fffffff\r\n", 0xFFFFFFF + 11),
        (b"5", 0),
        (b"5\r", 0),
        (b"10", 0),
        (b"0\r\n\r\n", None),
        (b"05\r\n", None),
        (b"A\r\n", None),
        (b"5;a\r\n", None),
        (b"5\rx", None),
        (b"ffffffff\r\n", None),
        (b"x", None),
    ],
)
def test_how_long_a_chunk_is(data: bytes, length: int | None) -> None:
    assert length == chunk_length(data)


CONTENT = st.binary(min_size=1, max_size=20) | st.sampled_from(
    [
        b"\r\n",
        b"a\r\nb",
        b"data: {}\n\n",
        b"\r",
        b"\n",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"x" * 255,
        b"x" * 256,
        b"x" * 4096,
    ]
)


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """One chunk: nearly always right, in any spelling."""
    content = draw(CONTENT)
    size = b"%x" % len(content)
    plainly = draw(st.integers(0, 9))
    if plainly == 0:
        size = draw(st.sampled_from([size.upper(), b"0" + size, size + b";a=b", size + b'; a="b"', b"000000" + size]))
    elif plainly == 1:
        size = draw(
            st.sampled_from(
                [b"", b"%x" % (len(content) + 1), b"%x" % (len(content) - 1), b"-1", size + b" ", b"g", b"+" + size]
            )
        )
    end = draw(st.sampled_from([b"\r\n"] * 12 + [b"\n", b"", b"\r", b"x\r\n"]))
    return size + b"\r\n" + content + end


ENDS = st.sampled_from(
    [b"0\r\n\r\n"] * 6
    + [
        b"",
        b"0\r\n",
        b"00\r\n\r\n",
        b"0;a\r\n\r\n",
        b"0\r\nX-Trailer: a\r\n\r\n",
        b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"0\r\n\r\n\r\n",
    ]
)
BODIES = st.builds(lambda pieces, end: b"".join(pieces) + end, st.lists(chunks(), max_size=8), ENDS)


@settings(max_examples=500)
@given(body=BODIES, places=st.lists(st.integers(0, 10_000), max_size=12), poured=st.booleans())
def test_as_the_parser_alone(body: bytes, places: list[int], *, poured: bool) -> None:
    pieces = cut(HEAD + body, places)

    assert read(ParsersOwn(), pieces) == read(Answer(), pieces, by_the_way=poured)


@settings(max_examples=500)
@given(body=BODIES, poured=st.booleans())
def test_chunk_by_chunk(body: bytes, *, poured: bool) -> None:
    """As it arrives where each event is a packet of its own."""
    pieces = [HEAD]
    while body:
        length = chunk_length(body) or len(body)
        pieces.append(body[:length])
        body = body[length:]

    assert read(ParsersOwn(), pieces) == read(Answer(), pieces, by_the_way=poured)


@settings(max_examples=200)
@given(body=BODIES)
def test_byte_by_byte(body: bytes) -> None:
    pieces = [bytes([byte]) for byte in HEAD + body]

    assert read(ParsersOwn(), pieces) == read(Answer(), pieces, by_the_way=True)
