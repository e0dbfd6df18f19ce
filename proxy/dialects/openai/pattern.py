"""Which parts of an event change from one event of a stream to the next: its text, and padding."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.streams.event_view import SAYS, EventView
from proxy.streams.pattern import Pattern

_TEXTS: Final = re.compile(rb'"(?:content|reasoning_content|reasoning)": ?"((?:[^"\\]|\\.)+)"')
_PADDING: Final = re.compile(rb'"(?:obfuscation|p)": ?"((?:[^"\\]|\\.)*)"')
"""OpenAI's and Mistral's, against those who guess words from the lengths of encrypted packets."""


def pattern_of(data: bytes, read: Callable[[bytes], EventView]) -> Pattern | None:
    """The pattern of an event's data; None where its content does not hang on one text.

    `read` is the reader of the stream: it is asked whether the event is content with any other text and padding, and is
    not without a text.
    """
    for text in _TEXTS.finditer(data):
        before, behind = data[: text.start(1)], data[text.end(1) :]
        if read(before + b"x" + behind) is SAYS and read(before + behind) is not SAYS:
            return Pattern(before, behind, _padding(before, behind, read))
    return None


def _padding(before: bytes, behind: bytes, read: Callable[[bytes], EventView]) -> tuple[bytes, bytes] | None:
    found = _PADDING.search(behind)
    if found is None:
        return None
    middle, end = behind[: found.start(1)], behind[found.end(1) :]
    return (middle, end) if read(before + b"x" + middle + b"y" + end) is SAYS else None
