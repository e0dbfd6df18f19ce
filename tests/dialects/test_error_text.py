"""The shapes that errors are wrapped in, and the text that is left of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import FailureClass
from proxy.dialects.error_text import clean, read_error
from proxy.dialects.failures import classify, classify_in_band
from tests.dialects.provider_errors import NOW, C, fail

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


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"error":' * 200 + b"1" + b"}" * 200])
def test_deep_nesting_is_survived(body: bytes) -> None:
    assert fail("openai", 500, body).kind is C.OVERLOADED


MEMBERS = ["error", "message", "code", "detail", "details", "metadata", "raw", "type", "violations", "loc", "headers"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(), inner),
    max_leaves=20,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()), st.integers(100, 999))
def test_never_raises(body: bytes, status: int) -> None:
    for failure in (classify("groq", status, {}, body, NOW), classify_in_band("", body, NOW)):
        assert isinstance(failure.kind, FailureClass)
        assert len(failure.message) <= 500
        assert not failure.message or failure.message.isprintable()
        assert failure.wait is None or failure.wait >= 0


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    assert clean(text) == "" or clean(text).isprintable()
    assert "<script>" not in clean("<script>" + text)
