"""The blocks of a streamed message, and how they are written: one open at a time, and each with an index of its own."""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.dialects.chat_events import to_json

TEXT: Final = "text"
THINKING: Final = "thinking"
REDACTED: Final = "redacted_thinking"
CALL: Final = "tool_use"

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_DELTAS: Final = {
    TEXT: b'{"type":"text_delta","text":',
    THINKING: b'{"type":"thinking_delta","thinking":',
    CALL: b'{"type":"input_json_delta","partial_json":',
}
_SIGNATURE: Final = b'{"type":"signature_delta","signature":'
_OUTSIDE = re.compile(r'[{}\[\]"]')
_INSIDE = re.compile(r'["\\]')


class JsonEnd:
    """Tells when JSON that comes in pieces is a whole object, at the cost of looking at each piece once."""

    __slots__ = ("_depth", "_quoted", "_skip", "complete")

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._skip = 0
        self.complete = False

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        place = self._skip
        while place < len(piece):
            found = (_INSIDE if self._quoted else _OUTSIDE).search(piece, place)
            if found is None:
                place = len(piece)
                break
            mark = found.group()
            place = found.end()
            if mark == "\\":
                place += 1
            elif mark == '"':
                self._quoted = not self._quoted
            else:
                self._depth += 1 if mark in "{[" else -1
                self.complete = self.complete or self._depth == 0
        self._skip = place - len(piece)


class Block:
    """A block that is written, or waits until it can be."""

    __slots__ = ("closed", "end", "id", "kind", "name", "pieces", "signature", "since")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        """What waits to be written."""
        self.id = ""
        """Of a call; of thoughts that nobody may read, their data."""
        self.name = ""
        self.signature: str | None = None
        self.since = 0
        """How many characters had been said before it."""
        self.end = JsonEnd()
        self.closed = False

    @property
    def ready(self) -> bool:
        """Whether it can begin: a call without a name cannot."""
        return self.kind != CALL or bool(self.name)

    @property
    def closable(self) -> bool:
        """Whether it may end here: a call only if its arguments are whole."""
        return self.kind != CALL or self.end.complete


class BlockWriter:
    """Writes the blocks of one message."""

    __slots__ = ("_delta", "_empty", "_index", "open")

    def __init__(self) -> None:
        self._index = -1
        self._delta = b""
        self._empty = True
        self.open: Block | None = None

    def adopt(self, index: int, kind: str) -> Block:
        """A block that somebody else has begun is open; returns it."""
        self._index = index
        self.open = Block(kind)
        self._empty = False
        self._delta = self._head(b"content_block_delta") + b',"delta":' + _DELTAS.get(kind, b"")
        return self.open

    def adopt_end(self) -> None:
        """Somebody else has ended the open block."""
        if self.open is not None:
            self.open.closed = True
            self.open = None

    def begin(self, block: Block, content_block: dict[str, Any]) -> bytes:
        """Closes what is open, and begins a block with what waits of it. `content_block` is what it begins with."""
        ended = self.close()
        self._index += 1
        self.open = block
        self._empty = True
        self._delta = self._head(b"content_block_delta") + b',"delta":' + _DELTAS.get(block.kind, b"")
        started = self._head(b"content_block_start") + b',"content_block":' + to_json(content_block) + b"}\n\n"
        waiting = "".join(block.pieces)
        block.pieces.clear()
        return ended + started + (self.write(waiting) if waiting else b"")

    def write(self, piece: str) -> bytes:
        """A piece of the open block."""
        self._empty = False
        return self._delta + to_json(piece) + b"}}\n\n"

    def close(self) -> bytes:
        """The end of the open block, if there is one."""
        block = self.open
        if block is None:
            return b""
        self.open = None
        block.closed = True
        last = b""
        if block.kind == THINKING:
            # The wire has a signature at the end of thoughts; "" where the model does not sign.
            head = self._head(b"content_block_delta")
            last = head + b',"delta":' + _SIGNATURE + to_json(block.signature or "") + b"}}\n\n"
        elif block.kind == CALL and self._empty:
            last = self.write("{}")
        return last + self._head(b"content_block_stop") + b"}\n\n"

    def _head(self, event: bytes) -> bytes:
        return b'event: %b\ndata: {"type":"%b","index":%d' % (event, event, self._index)
