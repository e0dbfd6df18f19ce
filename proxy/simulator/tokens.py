"""Cutting a text into what stands for the tokens of a real model."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")


def tokens_of(text: str) -> tuple[str, ...]:
    """The words of a text, each with the space before it; joined they are the text again."""
    return tuple(_TOKEN.findall(text))
