"""Which part of an event is the text that changes from one event of a stream to the next."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.streams.event_view import SAYS, EventView
from proxy.streams.pattern import Pattern

_TEXTS: Final = re.compile(rb'"(?:content|reasoning_content|reasoning)": ?"((?:[^"\\]|\\.)+)"')


def pattern_of(data: bytes, read: Callable[[bytes], EventView]) -> Pattern | None:
    """The pattern of an event's data; None where its content does not hang on one text.

    `read` is the reader of the stream: it is asked whether the event is content with any other text, and is not without
    one.
    """
    for text in _TEXTS.finditer(data):
        before, behind = data[: text.start(1)], data[text.end(1) :]
        if read(before + b"x" + behind) is SAYS and read(before + behind) is not SAYS:
            return Pattern(before, behind)
    return None
