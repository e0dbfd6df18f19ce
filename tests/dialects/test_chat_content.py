"""Texts and thoughts in the content of chat messages."""

from __future__ import annotations

import pytest

from proxy.dialects.chat_content import text_of, thoughts_in


@pytest.mark.parametrize(
    ("content", "text", "thoughts"),
    [
        ("a", "a", ""),
        (None, "", ""),
        (5, "", ""),
        ({"text": "a"}, "", ""),
        ([{"type": "text", "text": "a"}, {"text": "b"}], "ab", ""),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}],
            "a",
            "hm",
        ),
        ([{"type": "thinking", "thinking": "hm", "text": "no"}], "", "hm"),
        (["a", None, {"text": 5}, {"type": []}, {"type": "thinking"}], "", ""),
    ],
)
def test_what_a_content_says(content: object, text: str, thoughts: str) -> None:
    assert (text, thoughts) == (text_of(content), thoughts_in(content))
