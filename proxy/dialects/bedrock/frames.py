"""Amazon's binary event stream, cut into messages incrementally.

A message is: its length and that of its headers (four bytes each, big-endian), a checksum of these eight bytes, the
headers, the payload, and a checksum of everything before. A header is a name (one byte of length before it), a byte for
its type, and a value; only strings (two bytes of length before them) are of interest.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple
from zlib import crc32

from proxy.streams.sse import MAX_EVENT

_PRELUDE: Final = 12
_AROUND: Final = 16
"""Bytes of a message besides its headers and its payload."""
_MOST_KNOWN: Final = 16
_STRING: Final = 7
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a value by its type: the truths, whole numbers, a time, a UUID."""
_COUNTED: Final = frozenset({6, _STRING})
_prelude = struct.Struct(">III").unpack_from
_checksum = struct.Struct(">I").unpack_from
_count = struct.Struct(">H").unpack_from


class Frame(NamedTuple):
    """One message."""

    headers: Mapping[str, str]
    """Those that are strings."""
    payload: bytes


class FrameReader:
    """Cuts one stream of bytes into messages."""

    __slots__ = ("_buffer", "_known", "corrupt")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._known: dict[bytes, Mapping[str, str]] = {}
        self.corrupt = False
        """What came is no event stream, from some byte on: nothing more will be read."""

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that these bytes complete, up to the first that is corrupt."""
        frames: list[Frame] = []
        if self.corrupt:
            return frames
        rest = self._buffer
        if rest:
            rest += data
        # Mostly a message comes as a whole, and needs not be kept.
        source = rest or data
        place, size = 0, len(source)
        while size - place >= _PRELUDE:
            length, headers, checksum = _prelude(source, place)
            # Before anything is waited for, so that a length that is none cannot make it wait for ever.
            if checksum != crc32(source[place : place + 8]) or not headers + _AROUND <= length <= MAX_EVENT:
                return self._broken(frames)
            if size - place < length:
                break
            frame = self._frame(bytes(source[place : place + length]), headers)
            if frame is None:
                return self._broken(frames)
            frames.append(frame)
            place += length
        if rest:
            del rest[:place]
        else:
            rest += data[place:]
        return frames

    def _broken(self, frames: list[Frame]) -> list[Frame]:
        self.corrupt = True
        self._buffer.clear()
        return frames

    def _frame(self, message: bytes, size: int) -> Frame | None:
        if _checksum(message, len(message) - 4)[0] != crc32(message[:-4]):
            return None
        raw = message[_PRELUDE : _PRELUDE + size]
        headers = self._known.get(raw)
        if headers is None:
            # Nearly all messages of a stream have the same headers, to the byte.
            headers = _headers(raw)
            if headers is None:
                return None
            if len(self._known) < _MOST_KNOWN:
                self._known[raw] = headers
        return Frame(headers, message[_PRELUDE + size : -4])


def _headers(raw: bytes) -> Mapping[str, str] | None:
    """The headers that are strings; None if they are cut or of an unknown type."""
    headers: dict[str, str] = {}
    place = 0
    try:
        while place < len(raw):
            start = place + 1
            kind_at = start + raw[place]
            name, kind = raw[start:kind_at], raw[kind_at]
            place = kind_at + 1
            size = _SIZES.get(kind, 0)
            if kind in _COUNTED:
                size = _count(raw, place)[0]
                place += 2
            elif kind not in _SIZES:
                return None
            value = raw[place : place + size]
            place += size
            if kind == _STRING:
                headers[name.decode()] = value.decode()
    except (IndexError, struct.error, UnicodeDecodeError):
        return None
    return headers if place == len(raw) else None
