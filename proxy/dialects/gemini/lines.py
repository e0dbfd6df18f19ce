"""Gemini's streams cut into their documents.

They are server-sent events with one JSON document each, but for errors: those come as bare lines of JSON between the
events, or in place of them.
"""

from __future__ import annotations

from proxy.streams.sse import MAX_EVENT, EventTooLargeError

_BOM = b"\xef\xbb\xbf"
_IGNORED = (b":", b"event:", b"id:", b"retry:")
_CLOSING = {b"{": b"}", b"[": b"]"}


class Documents:
    """Cuts one stream of bytes into documents."""

    __slots__ = ("_at_start", "_bare", "_data", "_pieces", "_size")

    def __init__(self) -> None:
        self._at_start = True
        self._pieces: list[bytes] = []
        """Of a line that is not complete."""
        self._data: list[bytes] = []
        self._bare: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The documents that these bytes complete. Raises EventTooLargeError."""
        if not self._size and not self._at_start and data.startswith(b"data: ") and data.count(b"\n") == 2:
            # One event that is all there, as nearly always.
            if data.endswith(b"\r\n\r\n"):
                return [data[6:-4]]
            if data.endswith(b"\n\n"):
                return [data[6:-2]]
        self._size += len(data)
        if self._size > MAX_EVENT:
            self._size = sum(map(len, (*self._pieces, *self._data, *self._bare, data)))
            if self._size > MAX_EVENT:
                raise EventTooLargeError
        if b"\n" not in data:
            if data:
                self._pieces.append(data)
            return []
        *lines, rest = b"".join((*self._pieces, data)).split(b"\n")
        self._pieces = [rest] if rest else []
        found = self._take(lines)
        if not self._pieces and not self._data and not self._bare:
            self._size = 0
        return found

    def end(self) -> tuple[list[bytes], bytes, bytes]:
        """What was left: whole documents, an event without the blank line behind it, and bare lines without an end."""
        found = self._take([b"".join(self._pieces)]) if self._pieces else []
        return found, b"\n".join(self._data), b"\n".join(self._bare)

    def _bare_is_whole(self) -> bool:
        """Whether the bare lines end as they began: the closing bracket at the beginning of a line, or all in one."""
        closing = _CLOSING.get(self._bare[0][:1])
        last = self._bare[-1].rstrip()
        return last == closing or (len(self._bare) == 1 and last[-1:] == closing)

    def _take(self, lines: list[bytes]) -> list[bytes]:
        found = []
        if self._at_start and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        for line in lines:
            line = line.removesuffix(b"\r")  # noqa: PLW2901
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif line.startswith(b"error:"):
                # Where other servers tell errors. It is no document, as whoever reads it finds out.
                found.append(line)
            elif line and not line.startswith(_IGNORED):
                self._bare.append(line)
                if self._bare_is_whole():
                    found.append(b"\n".join(self._bare))
                    self._bare.clear()
            elif not line and self._data:
                found.append(b"\n".join(self._data))
                self._data.clear()
        return found
