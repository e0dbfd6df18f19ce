"""JSON with halves of surrogate pairs."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.lenient_json import converted, decoded, decoded_or_none, peek, read_json

decode = msgspec.json.Decoder(dict[str, str]).decode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "x"}', "x"),
        (r'{"a": "\ud83d\ude00"}', "😀"),
        (r'{"a": "\ud83d x"}', "\ufffd x"),
        (r'{"a": "\ude00\ud83d\ude00"}', "\ufffd😀"),
    ],
)
def test_halves_are_replaced(text: str, expected: str) -> None:
    assert {"a": expected} == decoded(decode, text.encode())


@pytest.mark.parametrize("data", [b"{", b'{"a": "\xff"}', b'{"a": 1}', b'{"a": "\\ud83d", "b": 1}', b'{"a": "\\ud83d'])
def test_what_is_wrong_otherwise_stays_wrong(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(decode, data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'"x"', "x"),
        ('"\u00e4"'.encode(), "\u00e4"),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\uD83D"', "\ufffd"),
        (b'"\xff"', None),
        (b'["\xff"]', None),
        (b'"\xff\\ud83d"', None),
    ],
)
def test_what_passes_through_is_looked_into(data: bytes, expected: str | None) -> None:
    assert expected == peek(msgspec.json.decode, data)


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_nothing_is_raised(data: bytes) -> None:
    peek(msgspec.json.decode, data)
    decoded_or_none(msgspec.json.decode, data)
    converted(msgspec.json.decode, dict, data)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b'["\\ud83d",' + b"[" * 100_000])
def test_depth_is_no_trap(data: bytes) -> None:
    assert [None, None, None] == [
        peek(msgspec.json.decode, data),
        decoded_or_none(msgspec.json.decode, data),
        converted(msgspec.json.decode, dict, data),
    ]


def test_halves_stay_where_the_other_half_may_come() -> None:
    data = b'{"a": "x\\ud83d"}'

    assert {"a": "x\ud83d"} == read_json(data) == converted(decode, dict[str, str], data)
