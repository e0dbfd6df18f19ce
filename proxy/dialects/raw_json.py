"""JSON values that stay the bytes that they came as: texts go from one language into another without being decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw

NULL: Final = Raw(b"null")
_QUOTE: Final = ord('"')


def is_text(value: Raw) -> bool:
    """Whether a raw value is a string."""
    return memoryview(value)[0] == _QUOTE


def joined(texts: Sequence[Raw], between: bytes = b"") -> Raw:
    """Several strings as one; `between` is put between them, as it stands in JSON."""
    return texts[0] if len(texts) == 1 else Raw(b'"%b"' % between.join(bytes(text)[1:-1] for text in texts))
