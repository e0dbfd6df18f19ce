"""Credentials do not survive in text that people read."""

import pytest

from proxy.core.secrets import mask


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: my-own-secret. You can find",
        "Incorrect API key provided: sk-proj-abcdefgh12345678.",
        "Incorrect API key provided: sk-abc***************wxyz.",
        "header 'Bearer abc.def.ghi' is wrong",
        "key xai-ABCDEFGHIJKL is blocked",
        "gsk_abcdefghijklmnop",
        "API key AIzaSyA-1234567890abcdefghij not valid",
    ],
)
def test_masks(text: str) -> None:
    masked = mask(text, ["my-own-secret"])

    assert "***" in masked
    for piece in ("my-own-secret", "abcdefgh", "wxyz", "abc.def", "ABCDEFGH", "SyA-123"):
        assert piece not in masked


def test_leaves_other_text_alone() -> None:
    text = "The model gpt-4o-mini-2024-07-18 does not exist; risk-free key words stay."

    assert text == mask(text, ["", "unused"])
