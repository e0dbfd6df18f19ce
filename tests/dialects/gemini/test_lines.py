"""Streams cut into documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.lines import Documents
from proxy.streams.sse import MAX_EVENT, EventTooLargeError

LINES = st.lists(
    st.sampled_from(
        [b"data: {}", b"data:1", b"data: ", b"", b": x", b"event: e", b"{", b"}", b"[{}]", b"oops", b"\xef"]
    )
)


def test_events_comments_and_bare_lines() -> None:
    documents = Documents()

    assert [b"1\n2", b"{\n}", b"3"] == documents.feed(b"\xef\xbb\xbfdata: 1\ndata:2\n\n: x\n{\n}\ndata: 3\r\n\r\n")
    assert [b"4"] == documents.feed(b"data: 4\r\n\r\n")
    assert [] == documents.feed(b"data: 5\noops\n[")
    assert ([], b"5", b"oops\n[") == documents.end()


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 60)))
def test_a_stream_may_be_split_anywhere(lines: list[bytes], end: bytes, places: list[int]) -> None:
    body = b"".join(line + end for line in lines)
    cuts = [0, *sorted(place for place in places if place <= len(body)), len(body)]
    whole, split = Documents(), Documents()

    found = [item for start, stop in zip(cuts, cuts[1:], strict=False) for item in split.feed(body[start:stop])]  # noqa: RUF007

    assert whole.feed(body) == found
    assert whole.end() == split.end()


def test_only_what_is_held_is_counted() -> None:
    documents = Documents()
    event = b"x" * (MAX_EVENT // 4) + b"\n\ndata: "
    documents.feed(b"data: ")

    assert [1] * 10 == [len(documents.feed(event)) for _ in range(10)]
    with pytest.raises(EventTooLargeError):
        documents.feed(b"x" * MAX_EVENT)
