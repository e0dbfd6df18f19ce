"""Where a message ends."""

from __future__ import annotations

import pytest

from benchmarks.cost.wire import length_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD[:-1], None),
        (HEAD, len(HEAD) + 5),
        (HEAD + b"hello", len(HEAD) + 5),
        (CHUNKED + b"5\r\nhello\r\n", None),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", len(CHUNKED) + 15),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27),
    ],
)
def test_length(data: bytes, expected: int | None) -> None:
    assert expected == length_of(data)
