"""Chunks of a body that are plainly what they are, so that the parser need not look at them.

A plain chunk is its length in hexadecimal digits of lower case and without zeros before them, a line end, as many bytes
without any line end of HTTP among them, and a line end. Everything else (the last chunk, extensions, other spellings)
is for the parser. The text of events holds no such line ends, so nearly all chunks of streams are plain.
"""

from __future__ import annotations

import re
from typing import Final

LAST_CHUNK: Final = b"0\r\n\r\n"
"""As nearly all bodies in chunks end."""
_LINE_END: Final = b"\r\n"
_MOST_OPENINGS: Final = 1024
_NO_OPENING: Final = bytes(_MOST_OPENINGS)
"""Longer than any of the chunks, so none begins with it."""
_MOST_SIZES: Final = 4096
_SIZES: Final = (_LINE_END, *(b"%x" % size for size in range(1, _MOST_SIZES)))
"""Lengths as plain chunks tell them, of those that are not long. No plain chunk is empty, and no length a line end."""
_SIZE: Final = re.compile(rb"([1-9a-f][0-9a-f]{0,6})\r\n")
_HALF_SIZE: Final = re.compile(rb"[1-9a-f][0-9a-f]{0,6}\r?")


def _openings() -> tuple[bytes, ...]:
    openings = [_NO_OPENING] * _MOST_OPENINGS
    for size in range(1, _MOST_OPENINGS):
        line = b"%x\r\n" % size
        whole = len(line) + size + len(_LINE_END)
        if whole < _MOST_OPENINGS:
            openings[whole] = line
    return tuple(openings)


OPENINGS: Final = _openings()
"""By how long a plain chunk is all in all, what it begins with; for those that are not long."""


def one_chunk(data: bytes) -> bytes | None:
    """What is in the chunk that these bytes are, if they are exactly one plain chunk."""
    at = data.find(_LINE_END, 0, 8)
    size = len(data) - at - 4
    if at < 1 or size < 1 or data[:at] != b"%x" % size or data[-2:] != _LINE_END:
        return None
    return data[at + 2 : -2]


def plain_chunks(data: bytes) -> tuple[list[bytes], bytes]:
    """What is in the plain chunks that these bytes begin with, and the bytes behind them."""
    if data == LAST_CHUNK:
        return [], data
    pieces = data.split(_LINE_END)
    end = len(pieces) - 1 & ~1
    sizes, contents = pieces[0:end:2], pieces[1:end:2]
    told = [_SIZES[length] if length < _MOST_SIZES else b"%x" % length for length in map(len, contents)]
    if told != sizes:
        odd = [size != length for size, length in zip(sizes, told, strict=True)]
        end = 2 * odd.index(True)
        contents = contents[: end // 2]
    return contents, _LINE_END.join(pieces[end:])


def chunk_length(data: bytes) -> int | None:
    """How long the chunk is that these bytes begin with, all in all: 0 if there are too few of them to tell.

    None if its length is not told in the plain way.
    """
    found = _SIZE.match(data)
    if found is not None:
        return found.end() + int(found[1], 16) + len(_LINE_END)
    return 0 if _HALF_SIZE.fullmatch(data) else None
