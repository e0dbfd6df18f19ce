"""JSON with halves of surrogate pairs."""

from __future__ import annotations

import msgspec
import pytest

from proxy.dialects.gemini.reading_json import decoded

decode = msgspec.json.Decoder(dict[str, str]).decode


@pytest.mark.parametrize("wrap", [str, str.encode])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "x"}', "x"),
        (r'{"a": "\ud83d\ude00"}', "😀"),
        (r'{"a": "\ud83d x"}', "\ufffd x"),
        (r'{"a": "\ude00\ud83d\ude00"}', "\ufffd😀"),
    ],
)
def test_halves_are_replaced(wrap: type, text: str, expected: str) -> None:
    assert {"a": expected} == decoded(decode, wrap(text))


@pytest.mark.parametrize("data", [b"{", b'{"a": "\xff"}', b'{"a": 1}', b'{"a": "\\ud83d", "b": 1}', b'{"a": "\\ud83d'])
def test_what_is_wrong_otherwise_stays_wrong(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(decode, data)
