"""About how many tokens a Messages request has."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import MessageTokensCount
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.messages.counting import count_answer, estimate, text_tokens
from tests.dialects.messages.oracle import asking

PROSE = "The proxy asks another deployment when the first one is silent for too long. "
CODE = 'def f(x): return {"a": [x, (x), {}]}; '


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        (PROSE * 10, 180, 200),
        (CODE * 10, 120, 130),
        ("模型回答了" * 10, 50, 50),
        ("Да, это так. " * 10, 50, 60),
        ("\ud83d", 1, 1),
    ],
)
def test_texts(text: str, least: int, most: int) -> None:
    assert least <= text_tokens(text) <= most


def tokens(*content: dict[str, Any], **more: Any) -> int:
    return estimate(asking({"messages": [{"role": "user", "content": list(content)}], **more}))


def test_everything_that_is_read_counts() -> None:
    assert 4 + 20 == tokens({"type": "text", "text": PROSE})
    assert 4 + 20 == tokens({"type": "tool_result", "tool_use_id": "t", "content": PROSE})
    assert 4 + 20 == tokens({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": PROSE}]})
    assert 4 + 20 == tokens({"type": "thinking", "thinking": PROSE, "signature": "s" * 1000})
    assert 4 + 20 == tokens({"type": "text", "text": ""}, system=PROSE)
    assert 4 + 100 <= tokens(tools=[{"name": "f", "input_schema": {"description": "x" * 400}}]) < 4 + 130
    assert 4 + 100 <= tokens({"type": "tool_use", "id": "t", "name": "f", "input": {"a": "x" * 300}}) < 4 + 110


def test_files_count_by_their_size_and_not_as_text() -> None:
    def source(size: int, kind: str = "image/png") -> dict[str, Any]:
        return {"type": "base64", "media_type": kind, "data": "A" * size}

    assert 1600 + 4 == tokens({"type": "image", "source": source(4_000_000)})
    assert 75 + 4 == tokens({"type": "image", "source": source(10_000)})
    assert 1600 + 4 == tokens({"type": "image", "source": {"type": "url", "url": "https://x.test"}})
    assert 3000 + 4 == tokens({"type": "document", "source": source(100_000, "application/pdf")})
    plain = {"type": "text", "media_type": "text/plain", "data": PROSE}
    assert 20 + 4 == tokens({"type": "document", "source": plain})


@given(st.text())
def test_no_text_is_without_tokens_or_has_more_than_bytes(text: str) -> None:
    assert bool(text) <= text_tokens(text) <= len(text.encode("utf-8", "replace")) + 1


def test_the_answer() -> None:
    assert MessageTokensCount(input_tokens=7) == MessageTokensCount.model_validate_json(count_answer(7))
