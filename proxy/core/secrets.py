"""Keeping credentials out of what people can read."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MASK = "***"
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|xai|gsk)[-_][A-Za-z0-9*_-]{8,}|(?<=Bearer )\S+|AIza[\w-]{20,}")


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text without the given secrets, and without anything that has the form of a provider's key.

    Upstreams echo keys in their error messages, sometimes shortened ("sk-abc***xyz"), which is why the form counts too.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    return _LOOKS_LIKE_A_KEY.sub(_MASK, text)
