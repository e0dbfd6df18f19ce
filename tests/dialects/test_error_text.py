"""The shapes that errors are wrapped in, and the text that is left of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.error_text import clean, read_error

SHAPES: list[tuple[object, str, str | None, str | None]] = [
    ([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}], "m", "RESOURCE_EXHAUSTED", "429"),
    ({"error": {"message": "m", "type": "t", "code": "c"}}, "m", "t", "c"),
    ({"error": "m", "code": "c"}, "m", None, "c"),
    ({"error": "m"}, "m", None, None),
    ({"object": "error", "message": "m", "type": "t", "code": "1300"}, "m", "t", "1300"),
    ({"detail": "m"}, "m", None, None),
    ({"detail": ["a", "b"]}, "a b", None, None),
    ({"message": "m", "__type": "com.amazon.coral#ThrottlingException"}, "m", "ThrottlingException", None),
    ({"error": {"message": {"detail": {"message": "m"}}}}, "m", None, None),
    ({"error": {"code": True, "type": ["x"], "message": 5}}, "", None, None),
    ("text", '"text"', None, None),
]


@pytest.mark.parametrize(("body", "message", "kind", "code"), SHAPES)
def test_shapes(body: object, message: str, kind: str | None, code: str | None) -> None:
    error = read_error(json.dumps(body).encode())
    assert (error.message, error.type, error.code) == (message, kind, code)


def test_shapes_that_are_not_quite_json() -> None:
    assert read_error(b'\xef\xbb\xbf \n{"error":"m"}').message == "m"
    assert read_error(b'event: error\ndata: {"error":"m"}\n\n').message == "m"
    assert read_error(b'{"error":"a\xff\\ud83d"}').message == "a\ufffd\ufffd"
    assert read_error(b"upstream connect error").message == "upstream connect error"
    assert not read_error(b'{"error":"cut off').told
    assert not read_error(b'{"id":1}').told


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    assert clean(text) == "" or clean(text).isprintable()
    assert "<script>" not in clean("<script>" + text)
