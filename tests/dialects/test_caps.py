"""Caps on an answer that a model cannot reach."""

from __future__ import annotations

import pytest
from msgspec import Raw

from proxy.core.wire import Wire
from proxy.dialects.caps import within

CAPS = [
    (Wire.CHAT, "max_tokens"),
    (Wire.CHAT, "max_completion_tokens"),
    (Wire.MESSAGES, "max_tokens"),
    (Wire.RESPONSES, "max_output_tokens"),
]


@pytest.mark.parametrize(("wire", "name"), CAPS)
def test_what_a_model_cannot_give_is_not_asked_for(wire: Wire, name: str) -> None:
    assert {"a": Raw(b"1"), name: Raw(b"16384")} == within({"a": Raw(b"1"), name: Raw(b"32000")}, wire, 16384)


@pytest.mark.parametrize(("wire", "name"), CAPS)
@pytest.mark.parametrize("raw", [b"16384", b"1", b"null", b'"32000"', b"32000.5", b"-1", b"9" * 400, b"[]"])
def test_everything_else_is_the_same_object(wire: Wire, name: str, raw: bytes) -> None:
    fields = {name: Raw(raw)}
    assert within(fields, wire, 16384) is fields
    assert within(fields, wire, None) is fields


def test_a_budget_for_thinking_stays_below_its_cap() -> None:
    fields = {"max_tokens": Raw(b"32000"), "thinking": Raw(b'{"type":"enabled","budget_tokens":20000}')}
    assert within(fields, Wire.MESSAGES, 16384) is fields
