"""What nearly all events of one stream look like, so that most of them need not be read.

Upstreams write the events of one stream by one template: between two of them nothing changes but a piece of text. Once
one event has been read and its text found in it, others are known by their bytes: the same before the text, the same
behind it, and between them a string of JSON that is not empty. Such an event would be read as the first was, whatever
the text, so forwarding it unread decides nothing differently. Whatever does not match is read as ever.
"""

from __future__ import annotations

from typing import Final

import msgspec

LESSONS: Final = 8
"""How many events of one stream may be looked at for a pattern. Where each event is of its own, none is found."""
_NONE: Final = (0, 0)
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


class Pattern:
    """The template of one stream's events, each in one `data:` line."""

    __slots__ = ("_before", "_behind", "_between")

    def __init__(self, before: bytes, behind: bytes) -> None:
        """The event's data on either side of the text, its quotes included."""
        self._before = b"data: " + before
        self._behind = behind + b"\n\n"
        self._between = self._behind + self._before

    def lead(self, data: bytes) -> tuple[int, int]:
        """How many of these events the bytes begin with, and where they end; (0, 0) if that is not plain to see."""
        before, behind = self._before, self._behind
        if not data.startswith(before):
            return _NONE
        last = data.rfind(self._between)
        end = data.find(behind, len(before) if last < 0 else last + len(self._between))
        if end < 0:
            return _NONE
        inner = data[len(before) : end]
        try:
            if last < 0:
                return (1, end + len(behind)) if _decode_text(b'"%b"' % inner) else _NONE
            texts = inner.split(self._between)
            said = _decode_texts(b'["%b"]' % b'","'.join(texts))
        except (ValueError, RecursionError):
            return _NONE
        # A text that holds quotes of its own would be taken for several.
        return (len(said), end + len(behind)) if len(said) == len(texts) and all(said) else _NONE
