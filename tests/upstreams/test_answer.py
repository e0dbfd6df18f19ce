"""One answer, byte by byte and packet by packet: what is taken, what is refused, and that the packets do not matter."""

import gc
import weakref
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from proxy.upstreams.answer import MAX_FIELDS, MAX_HEAD, Answer

OK = b"HTTP/1.1 200 OK\r\n"
THREE = OK + b"Content-Length: 3\r\n\r\nabc"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BAD_HEAD, CUT, RESET = "bad_head", "cut", "reset"


class Seen(NamedTuple):
    """What became of an answer."""

    status: int
    body: bytes
    end: str
    """`kept`, `complete` (the connection serves no more), or the code of its failure."""


EMPTY = Seen(200, b"", "kept")


def feed(pieces: Iterable[bytes], *, clean: bool = True, little: bool = False) -> Seen:
    """Receive pieces, then the end of the connection; `little` is to be held between them."""
    answer, body = Answer(), b""
    for piece in pieces:
        if answer.over:
            break
        answer.feed(piece)
        body += answer.take()
        if little:
            answer.hold_little()
    kept = answer.reusable
    answer.end(clean=clean)
    body += answer.take()
    if answer.failure is not None:
        return Seen(answer.status, body, answer.failure.code)
    assert answer.complete
    return Seen(answer.status, body, "kept" if kept else "complete")


def bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


TAKEN = {
    "length": (THREE, Seen(200, b"abc", "kept")),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", EMPTY),
    "chunks": (CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", Seen(200, b"abc0123456789", "kept")),
    "blanks before chunked": (CHUNKED.replace(b": ", b": \t ").replace(b"chunked", b"Chunked") + b"0\r\n\r\n", EMPTY),
    "blanks around a length": (THREE.replace(b": 3", b":   3  "), Seen(200, b"abc", "kept")),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nX-T: 1\r\n\r\n", Seen(200, b"a", "kept")),
    "until the end": (OK + b"\r\nabc", Seen(200, b"abc", "complete")),
    "close": (OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", Seen(200, b"abc", "complete")),
    "close in a list": (OK + b"Connection: x, Close\r\nContent-Length: 3\r\n\r\nabc", Seen(200, b"abc", "complete")),
    "chunks, then close": (
        CHUNKED.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n") + b"3\r\nabc\r\n03\r\ndef\r\n0\r\nX: y\r\n\r\n",
        Seen(200, b"abcdef", "complete"),
    ),
    "1.0": (THREE.replace(b"1.1", b"1.0"), Seen(200, b"abc", "complete")),
    "1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        Seen(200, b"abc", "kept"),
    ),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + THREE,
        Seen(200, b"abc", "kept"),
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", Seen(204, b"", "kept")),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Seen(304, b"", "kept")),
    "no reason": (b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", Seen(503, b"", "kept")),
    "not ASCII": (OK + b"X: \xe9\r\nContent-Length: 0\r\n\r\n", Seen(200, b"", "kept")),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken_however_it_is_cut(name: str) -> None:
    data, expected = TAKEN[name]

    assert expected == feed([data])
    assert expected == feed(bytewise(data))
    assert expected == feed(bytewise(data), little=True)
    for place in range(1, len(data)):
        assert expected == feed([data[:place], data[place:]]), place
        assert expected == feed([data[:place], data[place:]], little=True), place


REFUSED = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", BAD_HEAD),
    "RTSP": (THREE.replace(b"HTTP/1.1", b"RTSP/1.0"), BAD_HEAD),
    "a blank line first": (b"\r\n" + THREE, BAD_HEAD),
    "version 0.9": (THREE.replace(b"1.1", b"0.9"), BAD_HEAD),
    "version 2.0": (THREE.replace(b"1.1", b"2.0"), BAD_HEAD),
    "version 1.2": (THREE.replace(b"1.1", b"1.2"), BAD_HEAD),
    "status of two digits": (THREE.replace(b"200", b"20"), BAD_HEAD),
    "status of four digits": (THREE.replace(b"200", b"2000"), BAD_HEAD),
    "status 000": (THREE.replace(b"200", b"000"), BAD_HEAD),
    "switching protocols": (b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc", BAD_HEAD),
    "an interim answer with a body": (THREE.replace(b"200", b"100") + THREE, BAD_HEAD),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", BAD_HEAD),
    "one length twice": (OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", BAD_HEAD),
    "a list of lengths": (THREE.replace(b": 3", b": 3, 3"), BAD_HEAD),
    "a signed length": (THREE.replace(b": 3", b": +3"), BAD_HEAD),
    "a negative length": (THREE.replace(b": 3", b": -3"), BAD_HEAD),
    "a length with a blank": (THREE.replace(b": 3", b": 0 3"), BAD_HEAD),
    "a hexadecimal length": (THREE.replace(b": 3", b": 0x3"), BAD_HEAD),
    "an empty length": (THREE.replace(b": 3", b":"), BAD_HEAD),
    "a length beyond 64 bits": (THREE.replace(b": 3", b": 99999999999999999999"), BAD_HEAD),
    "length and chunks": (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD_HEAD),
    "chunks and length": (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", BAD_HEAD),
    "an unknown transfer encoding": (CHUNKED.replace(b"chunked", b"xchunked") + b"abc", BAD_HEAD),
    "identity": (CHUNKED.replace(b"chunked", b"identity") + b"abc", BAD_HEAD),
    "gzip within chunks": (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", BAD_HEAD),
    "chunked and a blank": (CHUNKED.replace(b"chunked", b"chunked ") + b"0\r\n\r\n", BAD_HEAD),
    "chunked twice": (OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", BAD_HEAD),
    "chunks in 1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", BAD_HEAD),
    "a folded header": (OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", BAD_HEAD),
    "a folded length": (OK + b"Content-Length:\r\n 3\r\n\r\nabc", BAD_HEAD),
    "bare LF": (THREE.replace(b"\r\n", b"\n"), BAD_HEAD),
    "bare LF after a header": (OK + b"X: a\nContent-Length: 0\r\n\r\n", BAD_HEAD),
    "bare LF as the blank line": (OK + b"Content-Length: 0\r\n\n", BAD_HEAD),
    "bare CR in a header": (OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n", BAD_HEAD),
    "a null byte in a header": (OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n", BAD_HEAD),
    "a blank before the colon": (THREE.replace(b"Length:", b"Length :"), BAD_HEAD),
    "a header without a name": (OK + b": x\r\nContent-Length: 0\r\n\r\n", BAD_HEAD),
    "a header without a colon": (OK + b"x\r\nContent-Length: 0\r\n\r\n", BAD_HEAD),
    "chunk size no number": (CHUNKED + b"zz\r\nabc", BAD_HEAD),
    "chunk size negative": (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", BAD_HEAD),
    "chunk size with 0x": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", BAD_HEAD),
    "chunk size beyond 64 bits": (CHUNKED + b"fffffffffffffffff\r\nabc", BAD_HEAD),
    "chunk with bare LF": (CHUNKED + b"3\nabc\n0\n\n", BAD_HEAD),
    "chunk longer than its size": (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", CUT),
    "second chunk size no number": (CHUNKED + b"3\r\nabc\r\nzz\r\n", CUT),
    "length in a trailer": (CHUNKED + b"1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n", CUT),
    "nothing": (b"", RESET),
    "half a status line": (b"HTTP/1", BAD_HEAD),
    "half a head": (OK + b"Content-Type: app", BAD_HEAD),
    "an interim answer only": (b"HTTP/1.1 100 Continue\r\n\r\n", BAD_HEAD),
    "half a length": (OK + b"Content-Length: 100\r\n\r\nabc", CUT),
    "none of a length": (OK + b"Content-Length: 100\r\n\r\n", CUT),
    "half a chunk": (CHUNKED + b"5\r\nabc", CUT),
    "no last chunk": (CHUNKED + b"3\r\nabc\r\n", CUT),
    "half a last chunk": (CHUNKED + b"3\r\nabc\r\n0\r\n", CUT),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_however_it_is_cut(name: str) -> None:
    data, code = REFUSED[name]
    seen = feed([data] if data else [])

    assert code == seen.end
    assert seen == feed(bytewise(data))
    assert seen == feed(bytewise(data), little=True)
    for place in range(1, len(data)):
        assert seen == feed([data[:place], data[place:]]), place
        assert seen == feed([data[:place], data[place:]], little=True), place


TOO_MUCH = {
    "one long header": (OK + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n", BAD_HEAD),
    "many long headers": (OK + b"X: %b\r\n" % (b"x" * 1000) * 70 + b"\r\n", BAD_HEAD),
    "many headers": (OK + b"X: x\r\n" * (MAX_FIELDS + 1) + b"\r\n", BAD_HEAD),
    "a long reason": (b"HTTP/1.1 200 " + b"x" * 2 * MAX_HEAD + b"\r\n\r\n", BAD_HEAD),
    "interim answers without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, BAD_HEAD),
    "a chunk's extension without end": (CHUNKED + b"3;" + b"x" * 2 * MAX_HEAD, BAD_HEAD),
    "a trailer without end": (CHUNKED + b"3\r\nabc\r\n0\r\n" + b"X: x\r\n" * 20_000, CUT),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_refused_before_it_is_all_kept(name: str) -> None:
    data, code = TOO_MUCH[name]
    answer, taken = Answer(), 0
    while not answer.over and taken < len(data):
        answer.feed(data[taken : taken + 1000])
        taken += 1000

    assert answer.failure is not None
    assert code == answer.failure.code
    assert taken <= MAX_HEAD + 3000


def test_a_huge_head_in_one_piece_is_refused() -> None:
    assert BAD_HEAD == feed([OK + b"X: " + b"x" * MAX_HEAD + b"\r\nContent-Length: 0\r\n\r\n"]).end


def test_a_stream_of_small_chunks_is_never_too_much() -> None:
    answer = Answer()
    answer.feed(CHUNKED)
    for _ in range(MAX_HEAD // 4):
        answer.feed(b"1\r\na\r\n")
    answer.feed(b"0\r\n\r\n")

    assert (True, MAX_HEAD // 4) == (answer.complete, len(answer.take()))


def test_many_interim_answers_at_once_are_skipped() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nX: chunked\r\n\r\n"

    assert Seen(200, b"abc", "kept") == feed([hint * 1500 + THREE])


@pytest.mark.parametrize("surplus", [b"x", b"HTTP/1.1 200 OK\r\n", THREE])
def test_what_comes_after_the_end_is_not_read_and_spoils_the_connection(surplus: bytes) -> None:
    assert Seen(200, b"abc", "complete") == feed([THREE + surplus])
    assert Seen(204, b"", "complete") == feed([b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc" + surplus])


def test_a_body_until_the_end_needs_an_end_that_was_meant() -> None:
    assert Seen(200, b"abc", CUT) == feed([OK + b"\r\nabc"], clean=False)


def test_headers_are_found_in_any_case() -> None:
    answer = Answer()
    answer.feed(OK + b"X-RateLimit-Limit:  7 \r\nEmpty:\r\nContent-Length: 0\r\n\r\n")

    assert ("7", "7", "") == (
        answer.headers["x-ratelimit-limit"],
        answer.field("x-ratelimit-limit"),
        answer.headers["empty"],
    )
    assert "retry-after" not in answer.headers


def test_an_answer_that_is_over_is_free_of_cycles() -> None:
    class Watched(Answer):
        pass

    gc.disable()
    try:
        answer = Watched()
        watched = weakref.ref(answer)
        answer.feed(THREE)
        del answer

        assert watched() is None
    finally:
        gc.enable()
