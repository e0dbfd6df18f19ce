"""Usual heads go by the parser, and nobody can tell: whatever is sent, and however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.upstreams.answer import MAX_HEAD, Answer
from proxy.upstreams.usual_head import usual_head
from tests.upstreams.parsers_own import ParsersOwn, cut, read

OK = b"HTTP/1.1 200 OK\r\n"
THREE = b"Content-Length: 3\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def whole(lines: bytes, status: bytes = OK) -> bytes:
    return status + lines + b"\r\n"


OPENAIS = whole(
    b"Date: Mon, 09 Jun 2025 10:00:00 GMT\r\nContent-Type: application/json\r\n" + THREE + b"Connection: keep-alive\r\n"
    b"openai-processing-ms: 512\r\nstrict-transport-security: max-age=31536000; includeSubDomains; preload\r\n"
    b"set-cookie: __cf_bm=abc; path=/; HttpOnly\r\nset-cookie: _cfuvid=def; path=/; SameSite=None\r\n"
    b'X-Content-Type-Options: nosniff\r\nServer: cloudflare\r\nalt-svc: h3=":443"; ma=86400\r\n'
)


@pytest.mark.parametrize(
    ("head", "status", "length", "kept_alive"),
    [
        (whole(THREE), 200, 3, True),
        (whole(THREE.lower()), 200, 3, True),
        (whole(THREE.upper()), 200, 3, True),
        (whole(b"Content-Length: 0\r\n"), 200, 0, True),
        (whole(b"Content-Length: 0003\r\n"), 200, 3, True),
        (whole(CHUNKED), 200, None, True),
        (whole(CHUNKED.upper()), 200, None, True),
        (whole(THREE + b"Connection: keep-alive\r\n"), 200, 3, True),
        (whole(b"connection: Keep-Alive\r\n" + CHUNKED), 200, None, True),
        (whole(b"Connection: close\r\n" + THREE), 200, 3, False),
        (whole(b"A: 1\r\nConnection: close\r\nB: 2\r\n" + THREE + b"C: 3\r\n"), 200, 3, False),
        (whole(b"A: 1\r\n" + THREE + b"B: 2\r\nConnection: close\r\nC: 3\r\n"), 200, 3, False),
        (whole(b"Content-Type: a\r\nConnections: x\r\nTransfer: y\r\n" + THREE), 200, 3, True),
        (whole(THREE, b"HTTP/1.1 404 Not Found\r\n"), 404, 3, True),
        (whole(THREE, b"HTTP/1.1 503 \r\n"), 503, 3, True),
        (OPENAIS, 200, 3, True),
    ],
)
def test_usual(head: bytes, status: int, length: int | None, kept_alive: bool) -> None:
    expected = status, len(head), length, kept_alive

    assert expected == usual_head(head)
    assert expected == usual_head(head + b"abc\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        OK,
        OK + THREE,
        whole(THREE)[:-1],
        whole(b""),
        whole(b"Date: today\r\n"),
        whole(THREE, b"HTTP/1.0 200 OK\r\n"),
        whole(THREE, b"HTTP/1.1 100 Continue\r\n"),
        whole(THREE, b"HTTP/1.1 204 No Content\r\n"),
        whole(THREE, b"HTTP/1.1 304 Not Modified\r\n"),
        whole(THREE, b"HTTP/1.1 2000 OK\r\n"),
        whole(THREE, b"HTTP/1.1 200\r\n"),
        whole(THREE, b"HTTP/1.1  200 OK\r\n"),
        whole(THREE, b"HTTP/1.1 200 \xe9\r\n"),
        whole(THREE + THREE),
        whole(THREE + b"content-length: 4\r\n"),
        whole(THREE + CHUNKED),
        whole(CHUNKED + THREE),
        whole(CHUNKED + b"Date: today\r\n" + CHUNKED),
        whole(b"Content-Length: 1234567890123\r\n"),
        whole(b"Content-Length: 3 \r\n"),
        whole(b"Content-Length: +3\r\n"),
        whole(b"Content-Length: 3, 3\r\n"),
        whole(b"Content-Length:3\r\n"),
        whole(b"Content-Length : 3\r\n"),
        whole(b"Content-Length:\r\n"),
        whole(b"Transfer-Encoding: gzip, chunked\r\n"),
        whole(b"Transfer-Encoding: chunked \r\n"),
        whole(THREE + b"Connection: upgrade\r\n"),
        whole(THREE + b"Connection: keep-alive, x\r\n"),
        whole(b"Connection: close\r\n" + THREE + b"Connection: keep-alive\r\n"),
        whole(b"Connection: close\r\nConnection: close\r\n" + THREE),
        whole(THREE + b"Proxy-Connection: close\r\n"),
        whole(THREE + b"Content-Encoding: gzip\r\n"),
        whole(THREE + b"X:  two blanks\r\n"),
        whole(THREE + b"X:\r\n"),
        whole(THREE + b"X: \r\n"),
        whole(THREE + b"X: \xe9\r\n"),
        whole(THREE + b"X: a\tb\r\n"),
        whole(THREE + b"X: a\0b\r\n"),
        whole(THREE + b"X: a\rb\r\n"),
        whole(THREE + b"X: a\nb\r\n"),
        whole(THREE + b"X: a\r\n b\r\n"),
        whole(THREE + b": x\r\n"),
        whole(THREE + b"x\r\n"),
        whole(THREE + b"X Y: x\r\n"),
        whole(THREE).replace(b"\r\n", b"\n"),
        b"\r\n" + whole(THREE),
        whole(THREE + b"X: x\r\n" * 200),
        whole(THREE + b"X: x\r\n" * 3000),
    ],
)
def test_not_usual(head: bytes) -> None:
    assert usual_head(head) is None


def test_much_that_is_not_usual_is_looked_at_once() -> None:
    assert usual_head(OK + b"X: x\r\n" * 100_000 + THREE + b"\r\n") is None
    assert usual_head(OK + b"x" * 1_000_000) is None


NAMES = st.sampled_from(
    [b"Content-Type", b"X-Request-Id", b"set-cookie", b"Date", b"Keep-Alive", b"Upgrade", b"Trailer", b"TE"]
) | st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
VALUES = st.sampled_from(
    [b"application/json", b'a, b; c="d"', b"x:y: z", b"timeout=5", b"h2c", b"chunked", b"close", b"0"]
) | st.from_regex(rb"[!-~][ -~]{0,20}", fullmatch=True)
LINES = st.builds(lambda name, value: b"%b: %b\r\n" % (name, value), NAMES, VALUES)
FRAMING = st.sampled_from(
    [
        *[b"Content-Length: 3\r\n", b"content-length: 3\r\n", b"Transfer-Encoding: chunked\r\n"] * 3,
        b"Content-Length: 0\r\n",
        b"Content-Length: 03\r\n",
        b"Content-Length: 3 \r\n",
        b"Content-Length: 3,3\r\n",
        b"CONTENT-LENGTH: 99999\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: Chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"",
    ]
)
CONNECTION = st.sampled_from(
    [
        *[b""] * 4,
        b"Connection: keep-alive\r\n",
        b"connection: Close\r\n",
        b"Connection: close, keep-alive\r\n",
        b"Connection: upgrade\r\n",
        b"Connection: x\r\n",
        b"Proxy-Connection: close\r\n",
        b"Proxy-Connection: keep-alive\r\n",
        b"Content-Encoding: gzip\r\n",
    ]
)
ODD = st.sampled_from(
    [
        b"X: \xe9\r\n",
        b"X: \t y \t\r\n",
        b"X:\r\n",
        b"X : y\r\n",
        b"X: a\r\n b\r\n",
        b"X: a\rb\r\n",
        b"X: a\nY: b\r\n",
        b"\r\n",
    ]
)
STATUS_LINES = st.sampled_from(
    [
        *[OK] * 8,
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.1 599 x: y\r\n",
        b"HTTP/1.1 999 \xe9\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 304 Not Modified\r\n",
        b"HTTP/1.1 205 Reset Content\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.1 000 x\r\n",
        b"HTTP/1.2 200 OK\r\n",
    ]
)
BEHIND = st.sampled_from(
    [
        b"",
        b"ab",
        *[b"abc", b"3\r\nabc\r\n0\r\n\r\n"] * 3,
        b"abc\r\n",
        b"abc\r\n\r\nx",
        b"abcx",
        b"abc" + OK,
        b"3\r\nabc\r\n",
        b"3\r\nabc\r\n0\r\nX: y\r\n\r\n",
        b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\nx",
        b"03\r\nabc\r\n0\r\n\r\n",
        b"3;x\r\nabc\r\n1\r\nd\r\n00\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"zz\r\n",
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer that is nearly always right, and nearly always has a usual head."""
    lines = [*draw(st.lists(LINES, max_size=6)), draw(FRAMING), draw(CONNECTION)]
    lines += draw(st.sampled_from([[]] * 5 + [[draw(FRAMING)], [draw(CONNECTION)], [draw(ODD)]]))
    return draw(STATUS_LINES) + b"".join(draw(st.permutations(lines))) + b"\r\n" + draw(BEHIND)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """An answer in which something was replaced, put in, or left out."""
    data = draw(answers())
    for _ in range(draw(st.integers(0, 2))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 3))
        put = draw(st.binary(max_size=2) | st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"\t", b"\0", b"H"]))
        data = data[:at] + put + data[at + length :]
    return data


@settings(max_examples=1500)
@given(data=mutations(), places=st.lists(st.integers(0, 10_000), max_size=4), poured=st.booleans())
@example(data=OPENAIS + b"abc", places=[], poured=False)
@example(data=whole(b"X: " + b"x" * MAX_HEAD + b"\r\n" + THREE) + b"abc", places=[], poured=False)
def test_as_the_parser_alone(data: bytes, places: list[int], *, poured: bool) -> None:
    pieces = cut(data, places)

    assert read(ParsersOwn(), pieces) == read(Answer(), pieces, by_the_way=poured)


@settings(max_examples=500)
@given(data=mutations(), places=st.lists(st.integers(0, 10_000), max_size=4), little=st.booleans())
def test_as_the_parser_alone_at_every_moment(data: bytes, places: list[int], *, little: bool) -> None:
    parsers, other = ParsersOwn(), Answer()
    for piece in cut(data, places):
        if parsers.over:
            break
        parsers.feed(piece)
        other.feed(piece)
        if little:
            other.hold_little()

        assert (parsers.status, parsers.unread, parsers.take()) == (other.status, other.unread, other.take())
        assert (parsers.over, parsers.reusable) == (other.over, other.reusable)
        assert parsers.over or parsers.received == other.received


def test_a_usual_answer_needs_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.upstreams.answer.HttpResponseParser", None)
    counted, chunked = Answer(), Answer()
    for piece in (OPENAIS + b"a", b"b", b"c"):
        counted.feed(piece)
    for piece in (whole(CHUNKED) + b"3\r\nabc\r\n", b"2\r\nde\r\n1", b"\r\nf\r\n0\r\n\r\n"):
        chunked.feed(piece)

    assert (b"abc", True) == (counted.take(), counted.reusable)
    assert (b"abcdef", True) == (chunked.take(), chunked.reusable)
