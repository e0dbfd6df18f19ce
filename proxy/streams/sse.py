"""Server-sent events out of bytes, incrementally.

`EventFramer.feed` takes bytes as they arrive, split anywhere, and returns the events that are complete. Lines may end
in LF, CRLF or CR, also mixed; a byte order mark at the start is dropped. An event's `raw` is what may be forwarded: its
lines as received, with line ends made LF and without those that mean nothing to a client, and the blank line behind
them. Nothing is decoded: a character split over two reads is whole again once its event is complete.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_EVENT = 8 * 1024 * 1024
"""The largest event that is taken, in bytes."""

_FORWARDED = {b"data", b"event", b""}
"""The fields that clients get, and comments, whose field name is empty. `id` and `retry` speak of reconnecting, which a
POST never does; OpenAI's SDK takes every blank line behind an `id` for an event, and fails on it."""

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One block of an event stream."""

    raw: bytes
    data: bytes | None
    """The joined `data:` lines; None for a block without any, such as a comment."""
    error: bytes | None = None
    """The value of a field called `error`, which is in no standard: llama.cpp's builds of 2025 report errors so."""


class EventTooLargeError(Exception):
    """An event grew beyond `MAX_EVENT`."""


class EventFramer:
    """Cuts one stream of bytes into events."""

    __slots__ = ("_after_cr", "_at_start", "_ends_in_lf", "_pieces", "_size", "between")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._ends_in_lf = False
        self._after_cr = False
        self._at_start = True
        self.between = False
        """All that came is given out: what comes next begins an event."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises EventTooLargeError."""
        if (
            self.between
            and data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and data.find(b"\n") == len(data) - 2
            and b"\r" not in data
        ):
            # One event in one line: what most upstreams write, and what arrives where events are not too dense.
            return [Event(data, data[6:-2])]
        if self._at_start:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._with_lf_only(data)
        if not data:
            return []
        complete = b"\n\n" in data or (self._ends_in_lf and data[:1] == b"\n")
        self._ends_in_lf = data[-1:] == b"\n"
        if not complete:
            self._keep(data)
            self.between = False
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
            self._size = 0
        *blocks, rest = data.split(b"\n\n")
        if rest:
            self._keep(rest)
        self.between = not rest and not self._after_cr
        return [_event(block) for block in blocks if block and block != b"\n"]

    def _keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > MAX_EVENT:
            raise EventTooLargeError

    def _without_bom(self, data: bytes) -> bytes:
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pieces = [data]
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _with_lf_only(self, data: bytes) -> bytes:
        if self._after_cr and data[:1] == b"\n":
            # The other half of a CRLF that was split between two reads; its CR has already ended the line.
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _event(block: bytes) -> Event:
    block = block.lstrip(b"\n")
    if b"\n" not in block and block.startswith(b"data:"):
        return Event(block + b"\n\n", block[6:] if block[5:6] == b" " else block[5:])
    data: list[bytes] = []
    kept: list[bytes] = []
    error = None
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"error":
            error = value.removeprefix(b" ")
        if name in _FORWARDED:
            kept.append(line)
    if not data:
        kept = [line for line in kept if line.startswith(b":")]
    return Event(b"\n".join((*kept, b"", b"")) if kept else b"", b"\n".join(data) if data else None, error)
