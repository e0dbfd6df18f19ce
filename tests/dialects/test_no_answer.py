"""Why bodies of status 200 are no answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import FailureClass
from proxy.dialects.no_answer import no_answer, without_bom


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "empty_body", "the answer has no body"),
        (b" \n ", "empty_body", "the answer has no body"),
        (b"{", "invalid_json", "the answer is not valid JSON"),
        (b"<p>Welcome</p>", "invalid_json", "the answer is not valid JSON: Welcome"),
        (b"{}", "wrong_schema", "the answer is not a response"),
        (b'{"error":{"message":"oops"}}', "in_band_error", "oops"),
    ],
)
def test_why_not(body: bytes, code: str, message: str) -> None:
    failure = no_answer(body, "a response", "openai", 0.0)

    assert (FailureClass.BAD_ANSWER, code, message) == (failure.kind, failure.code, failure.message)


def test_a_byte_order_mark_is_dropped_and_nothing_else() -> None:
    assert b"{}" == without_bom(b" \xef\xbb\xbf{}")
    assert b"\n{}" == without_bom(b"\n{}")


@given(st.binary(max_size=60))
def test_nothing_is_raised(body: bytes) -> None:
    no_answer(body, "a response", "", 0.0)
    without_bom(body)
