"""What nearly all events of one stream look like, so that most of them need not be read.

Upstreams write the events of one stream by one template: between two of them nothing changes but a piece of text, and
with some a padding that hides its length. Once one event has been read and its text found in it, others are known by
their bytes: the same on all sides, and between them strings of JSON, the text not empty. Such an event would be read as
the first was, whatever the text, so forwarding it unread decides nothing differently. Whatever does not match is read
as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

LESSONS: Final = 8
"""How many events of one stream may be looked at for a pattern. Where each event is of its own, none is found."""
_NONE: Final = (0, 0)
_DATA: Final = b"data: "
_END: Final = b"\n\n"
_NEXT: Final = b'",\n"'
"""Between two strings of a list. The line end, which no string holds, keeps one from going on in the next."""
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Pattern:
    """The template of one stream's events, each in one `data:` line."""

    __slots__ = ("_middle", "_strings", "before", "behind")

    def __init__(self, before: bytes, behind: bytes, padding: tuple[bytes, bytes] | None = None) -> None:
        """The event's data before and behind the text, its quotes included; `padding` in place of `behind` is what
        stands between the text and the padding, and behind that."""
        self._middle, behind = padding or (b"", behind)
        self._strings = 1 if padding is None else 2
        self.before = _DATA + before[:-1]
        """What stands before the text of an event, in its quotes."""
        self.behind = behind[1:] + _END
        """What stands behind it; a padding is part of the text."""

    def checker(self) -> Callable[[bytes], object]:
        """Tells whether what stands between is a text that says something: false or a ValueError if not."""
        return self._says if self._middle else _decode_text

    def events(self, texts: Iterable[bytes]) -> bytes:
        """The events in which such texts stood."""
        return self.before + (self.behind + self.before).join(texts) + self.behind

    def _says(self, padded: bytes) -> bool:
        text, found, padding = padded.partition(self._middle)
        # The quotes on either side of the middle are its own.
        return bool(found and _decode_text(text + b'"')) and isinstance(_decode_text(b'"' + padding), str)

    def lead(self, data: bytes) -> tuple[int, int]:
        """How many of these events the bytes begin with, and where they end; (0, 0) if that is not plain to see."""
        before, behind = self.before + b'"', b'"' + self.behind
        if not data.startswith(before):
            return _NONE
        between = behind + before
        last = data.rfind(between)
        end = data.find(behind, len(before) if last < 0 else last + len(between))
        if end < 0:
            if last < 0:
                return _NONE
            # The last one is not whole.
            last, end = data.rfind(between, 0, last), last
        inner = data[len(before) : end]
        try:
            if last < 0 and self._strings == 1:
                return (1, end + len(behind)) if _decode_text(b'"%b"' % inner) else _NONE
            # To split by all that stands between two of them would take as long as reading them.
            first, behind_last = len(before) - len(_DATA), len(_END) - len(behind)
            lines = data[len(_DATA) : end - behind_last].split(_END + _DATA)
            events = [line[first:behind_last] for line in lines]
            if between.join(events) != inner:
                return _NONE
            told = _NEXT.join(events)
            if self._middle:
                if not all(event.count(self._middle) == 1 for event in events):
                    return _NONE
                told = told.replace(self._middle, _NEXT)
            said = _decode_texts(b'["%b"]' % told)
        except (ValueError, RecursionError):
            return _NONE
        # Strings that hold quotes of their own would be taken for several.
        if len(said) != self._strings * len(events) or not all(said[:: self._strings]):
            return _NONE
        return len(events), end + len(behind)
