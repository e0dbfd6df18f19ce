"""Whether something is mentioned in a raw JSON value, which may be a prompt of a megabyte."""

from __future__ import annotations

from msgspec import Raw


def mentions(value: Raw, *marks: bytes) -> bool:
    """Whether one of some marks of a few bytes stands anywhere in a value."""
    text = bytes(value)
    # From the end: in a long text the interpreter takes three times as long to find something from the beginning.
    return any(text.rfind(mark) >= 0 for mark in marks)
