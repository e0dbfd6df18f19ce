"""Events out of bytes, however they are split and spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.streams.sse import MAX_EVENT, EventFramer, EventTooLargeError


def datas(*reads: bytes) -> list[bytes | None]:
    framer = EventFramer()
    return [event.data for read in reads for event in framer.feed(read)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"event: x\nid: 7\ndata: a\nretry: 5\n\n", [b"a"]),
        (b": ping\n\ndata: a\n\n", [None, b"a"]),
        (b": ping\ndata: a\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (b"data: a: b\n\n", [b"a: b"]),
        (b"data: never finished", []),
        (b"data: never finished\n", []),
    ],
)
def test_spellings(stream: bytes, expected: list[bytes | None]) -> None:
    assert expected == datas(stream)
    assert expected == datas(*(stream[place : place + 1] for place in range(len(stream))))


def test_raw_is_what_may_be_forwarded() -> None:
    (event,) = EventFramer().feed(b"event: x\r\ndata: a\r\ndata: b\r\n\r\n")

    assert b"event: x\ndata: a\ndata: b\n\n" == event.raw


@pytest.mark.parametrize(
    ("block", "raw"),
    [
        (b": a comment\nid: 7\nretry: 5\nunknown: x\nevent: e\ndata: a\n\n", b": a comment\nevent: e\ndata: a\n\n"),
        (b": a comment\n\n", b": a comment\n\n"),
        (b":\nid: 7\n\n", b":\n\n"),
        (b"id: 7\nretry: 5\n\n", b""),
        (b"event: e\n\n", b""),
    ],
)
def test_what_means_nothing_to_a_client_is_left_out(block: bytes, raw: bytes) -> None:
    (event,) = EventFramer().feed(block)

    assert raw == event.raw


def test_error_field_is_surfaced() -> None:
    (event,) = EventFramer().feed(b'error: {"code":500}\n\n')

    assert (None, b'{"code":500}') == (event.data, event.error)


def test_carriage_return_at_the_end_of_a_read_delays_nothing() -> None:
    framer = EventFramer()

    assert [b"a"] == [event.data for event in framer.feed(b"data: a\r\r")]
    assert [b"b"] == [event.data for event in framer.feed(b"\ndata: b\r\n\r\n")]


def test_a_character_split_over_reads_is_whole_again() -> None:
    text = "漢字🎉".encode()

    assert [text] == datas(b"data: " + text[:4], text[4:8], text[8:] + b"\n\n")


def test_large_events_are_taken_up_to_the_limit() -> None:
    big = b"x" * (MAX_EVENT - 100)

    assert [big] == datas(b"data: ", big, b"\n\n")
    with pytest.raises(EventTooLargeError):
        datas(b"data: ", big, big)


line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1).map(str.encode)


@given(st.lists(texts), line_ends, st.data())
def test_any_split_gives_the_same_events(payloads: list[bytes], end: bytes, data: st.DataObject) -> None:
    stream = b"".join(b"data: " + payload + end + end for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reads = [stream[begin:stop] for begin, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert payloads == datas(*reads)


@given(st.lists(st.binary()))
def test_never_raises_on_any_bytes(reads: list[bytes]) -> None:
    datas(*reads)
