"""Which heads are plain: one form of each thing, nothing twice; whatever else there is, is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.server.plain_head import MAX_HEAD, PlainHeads

HOST, LENGTH = b"Host: x", b"Content-Length: 5"

REQUEST_LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


def head(*lines: bytes, first: bytes = REQUEST_LINE) -> bytes:
    """A head without the blank line that ends it."""
    return first + b"\r\n".join(lines)


PLAIN = {
    "the least": head(HOST, LENGTH),
    "in another order": head(LENGTH, HOST),
    "in small letters": head(b"host: x", b"content-length: 5"),
    "a port": head(b"Host: localhost:8400", LENGTH),
    "an address": head(b"Host: [::1]:8400", LENGTH),
    "kept alive": head(HOST, LENGTH, b"Connection: keep-alive"),
    "kept alive, in other letters": head(HOST, LENGTH, b"connection: Keep-Alive"),
    "any header": head(HOST, LENGTH, b"X-A: b c, d; e=\"f\""),
    "any token": head(HOST, LENGTH, b"!#$%&'*+.^_`|~09azAZ-: b"),
    "zeros before": head(HOST, b"Content-Length: 0005"),
    "a hundred": head(HOST, LENGTH, *(b"X-%d: a" % number for number in range(98))),
}  # fmt: skip
ODD = {
    "no host": head(LENGTH, b"X-A: b"),
    "no length": head(HOST),
    "nothing": head(),
    "the length alone": head(LENGTH),
    "another method": head(HOST, LENGTH, first=b"PUT /v1/chat/completions HTTP/1.1\r\n"),
    "another path": head(HOST, LENGTH, first=b"POST /v1/chat/completion HTTP/1.1\r\n"),
    "another version": head(HOST, LENGTH, first=b"POST /v1/chat/completions HTTP/1.0\r\n"),
    "a query": head(HOST, LENGTH, first=b"POST /v1/chat/completions?a HTTP/1.1\r\n"),
    "a length in great letters": head(HOST, b"CONTENT-LENGTH: 5"),
    "two lengths": head(HOST, LENGTH, LENGTH),
    "two lengths, of two spellings": head(HOST, LENGTH, b"content-length: 5"),
    "two lengths, of three spellings": head(HOST, b"cOntent-length: 5", LENGTH),
    "a list of lengths": head(HOST, b"Content-Length: 5, 5"),
    "a signed length": head(HOST, b"Content-Length: +5"),
    "no digits": head(HOST, b"Content-Length: "),
    "a blank behind the length": head(HOST, b"Content-Length: 5 "),
    "too many digits": head(HOST, b"Content-Length: 1234567890123"),
    "a header twice": head(HOST, LENGTH, b"X-A: b", b"x-a: c"),
    "two hosts": head(HOST, LENGTH, HOST),
    "an empty host": head(b"Host: ", LENGTH),
    "a host of another kind": head(b"Host: x/y", LENGTH),
    "a user in the host": head(b"Host: a@x", LENGTH),
    "closing": head(HOST, LENGTH, b"Connection: close"),
    "a list of connection options": head(HOST, LENGTH, b"Connection: keep-alive, x-a"),
    "upgrade": head(HOST, LENGTH, b"Upgrade: h2c"),
    "expect": head(HOST, LENGTH, b"Expect: 100-continue"),
    "transfer-encoding": head(HOST, LENGTH, b"Transfer-Encoding: chunked"),
    "transfer-encoding in other letters": head(HOST, LENGTH, b"tRANSFER-eNCODING: chunked"),
    "te": head(HOST, LENGTH, b"TE: trailers"),
    "trailer": head(HOST, LENGTH, b"Trailer: a"),
    "content-encoding": head(HOST, LENGTH, b"Content-Encoding: gzip"),
    "no blank": head(HOST, LENGTH, b"X-A:b"),
    "two blanks": head(HOST, LENGTH, b"X-A:  b"),
    "a blank at the end": head(HOST, LENGTH, b"X-A: b "),
    "a blank before the colon": head(HOST, LENGTH, b"X-A : b"),
    "a fold": head(HOST, LENGTH, b" X-A: b"),
    "a tab": head(HOST, LENGTH, b"X-A: b\tc"),
    "an empty value": head(HOST, LENGTH, b"X-A: "),
    "a line feed": head(HOST, LENGTH, b"X-A: b\nX-B: c"),
    "a carriage return": head(HOST, LENGTH, b"X-A: b\rc"),
    "a null": head(HOST, LENGTH, b"X-A: b\0c"),
    "a high byte": head(HOST, LENGTH, b"X-A: \xe9"),
    "a hundred and one": head(HOST, LENGTH, *(b"X-%d: a" % number for number in range(99))),
    "too long": head(HOST, LENGTH, b"X-A: " + b"b" * MAX_HEAD),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain(name: str) -> None:
    heads = PlainHeads()
    found = heads.read(PLAIN[name])

    assert found is not None
    assert 5 == found.length
    assert found.head.headers["HOST"] in {"x", "localhost:8400", "[::1]:8400"}
    # From now on it is known.
    again = heads.read(PLAIN[name].replace(b"0005", b"5"))
    assert again is not None
    assert again.head is found.head


@pytest.mark.parametrize("name", ODD)
def test_not_plain(name: str) -> None:
    heads = PlainHeads()
    heads.read(PLAIN["the least"])

    assert heads.read(ODD[name]) is None
    # Neither the second time, when it could be known.
    assert heads.read(ODD[name]) is None


def test_the_same_head_with_another_length() -> None:
    heads = PlainHeads()
    first, second = heads.read(head(HOST, LENGTH)), heads.read(head(HOST, b"Content-Length: 77"))

    assert first is not None
    assert second is not None
    assert (5, 77, first.head) == (first.length, second.length, second.head)


def test_a_head_is_not_taken_for_another_whose_length_stands_elsewhere() -> None:
    """What is known is the head without its length, and that may stand anywhere."""
    heads = PlainHeads()
    one, other = heads.read(head(HOST, LENGTH, b"X-A: b")), heads.read(head(HOST, b"X-A: b", LENGTH))

    assert one is not None
    assert other is not None
    assert dict(one.head.headers) == dict(other.head.headers) == {"Host": "x", "X-A": "b"}


def test_what_a_head_says() -> None:
    lines = (b"x-request-id: r-1", b"x-stainless-retry-count: 2", b"x-holdfast-tags: a, b", b"Authorization: Bearer k")
    found = PlainHeads().read(head(HOST, LENGTH, *lines))

    assert found is not None
    assert ("r-1", 2, "a, b") == (found.head.request_id, found.head.client_retry, found.head.tags)
    assert "Bearer k" == found.head.headers["authorization"]


def test_only_so_many_are_remembered() -> None:
    heads = PlainHeads()
    first = heads.read(head(HOST, LENGTH))
    for number in range(2000):
        heads.read(head(HOST, LENGTH, b"X-A: %d" % number))
    again = heads.read(head(HOST, LENGTH))

    assert first is not None
    assert again is not None
    assert first.head is not again.head
    assert len(heads._known) <= 256


@settings(max_examples=500)
@given(
    st.lists(
        st.sampled_from(
            [HOST, LENGTH, b"content-length: 7", b"X-A: b", b"x-a: b", b"Connection: close", b"X", b"", b"\r", b" x"]
        ),
        max_size=5),
    st.binary(max_size=3),
    st.integers(0, 60),
)  # fmt: skip
def test_never_raises_and_never_with_two_lengths(lines: list[bytes], noise: bytes, place: int) -> None:
    data = head(*lines)
    data = data[:place] + noise + data[place:]
    found = PlainHeads().read(data)

    if found is not None:
        assert 1 == data.lower().count(b"content-length")
        assert data.startswith(REQUEST_LINE)
        assert len(found.head.headers) == data.count(b"\r\n") - 1


@pytest.mark.parametrize("place", range(3))
def test_the_form_of_a_head_knows_it_again_whatever_the_length(place: int) -> None:
    others = [HOST, b"X-A: b"]
    wanted = head(*others[:place], LENGTH, *others[place:])
    found = PlainHeads().read(wanted)
    assert found is not None

    for digits in (b"7", b"0", b"123456789012"):
        again = wanted.replace(b": 5", b": " + digits) + b"\r\n\r\n"
        assert (int(digits), len(again)) == found.form.read(again) == found.form.read(again + b"body")


@pytest.mark.parametrize(
    "digits", [b"", b"-1", b"+5", b" 5", b"5 ", b"5,5", b"0x5", b"1_0", b"5\n", b"\xb2", b"1234567890123", b"5\r\nX: y"]
)
def test_nor_does_a_form_take_anything_else_for_a_length(digits: bytes) -> None:
    wanted = head(HOST, LENGTH, b"X-A: b")
    found = PlainHeads().read(wanted)
    assert found is not None

    assert found.form.read(wanted.replace(b": 5", b": " + digits) + b"\r\n\r\n") is None
    assert found.form.read(wanted[:-3]) is None
    assert found.form.read(wanted + b"\r\n") is None
