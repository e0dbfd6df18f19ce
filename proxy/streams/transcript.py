"""What a client has been sent of one stream, kept for the case that the stream breaks.

Nearly all streams end well, so keeping must cost next to nothing: what is sent is appended to the current *block* as it
is. A block that is full is condensed, in one pass, to what it said, which is a small part of it: most of an event is
wrapping. Nothing else is read before the stream breaks. The memory is bounded, for each stream and for all of them
together; a stream that exceeds either is *lost*: it goes on, but it cannot be continued elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from proxy.streams.pattern import Pattern

BLOCK: Final = 64 * 1024
"""Bytes of events that are kept as they are before they are condensed."""
MOST_SAID: Final = 1024 * 1024
"""Bytes that one stream may say and still be continued."""
MOST_OF_ALL: Final = 256 * 1024 * 1024
"""Bytes of all transcripts of the process together."""
UNREADABLE: Final = "unreadable"
"""Among `Said.others`: something was sent that cannot be read back."""
_PIECE: Final = 48
"""Bytes that each piece in a block takes beside its content."""
_TOKEN: Final = 10
"""Bytes up to which what an event carries may be a token."""
_GRAIN: Final = 8 * 1024
"""Bytes by which a transcript's share of the room grows."""


@dataclass(slots=True)
class Said:
    """What a client has been told, as far as going on with it needs."""

    texts: list[bytes] = field(default_factory=list)
    """The text, in UTF-8; halves of surrogate pairs as they came."""
    size: int = 0
    """Bytes of it."""
    pieces: int = 0
    """Events that carried text: about as many as tokens, from most upstreams."""
    reasoning: int = 0
    """Characters of reasoning."""
    thoughts: int = 0
    """Events that carried reasoning."""
    others: set[str] = field(default_factory=set)
    """What else was said, by the names of the wire's members: `tool_calls`, `refusal`, `audio`, `logprobs`."""
    identity: dict[str, bytes] = field(default_factory=dict)
    """What all events of the stream have in common (`id`, `created`, `model` and the like), as raw JSON."""

    def add(self, text: str) -> None:
        """Add some text."""
        data = text.encode("utf-8", "surrogatepass")
        self.texts.append(data)
        self.size += len(data)

    @property
    def text(self) -> str:
        """The whole text. Halves of surrogate pairs that belong together are one character."""
        data = b"".join(self.texts)
        try:
            return data.decode()
        except UnicodeDecodeError:
            text = data.decode("utf-8", "surrogatepass")
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    @property
    def text_tokens(self) -> int:
        """About how many tokens of text were said.

        Most upstreams send a token in each event; where events are far from the usual size of a token, four bytes are
        taken for one.
        """
        return _tokens(self.size, self.pieces)

    @property
    def tokens(self) -> int:
        """The same with those of the reasoning."""
        return self.text_tokens + _tokens(self.reasoning, self.thoughts)


def _tokens(size: int, pieces: int) -> int:
    return pieces if size <= _TOKEN * pieces else round(size / 4)


class Room:
    """The memory of all transcripts together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = MOST_OF_ALL) -> None:
        self.limit = limit
        self.used = 0
        """Bytes."""


class _Texts(NamedTuple):
    """Events of one pattern, kept as the texts that stood in them."""

    pattern: Pattern
    texts: Sequence[bytes]


class Transcript:
    """One stream's transcript. `close` it when the stream is over."""

    __slots__ = ("_block", "_condense", "_most", "_room", "_said", "_share", "_size", "lost")

    def __init__(self, condense: Callable[[bytes, Said], None], room: Room) -> None:
        """`condense` reads whole events, as they were sent to the client, into what was said."""
        self._condense = condense
        self._room = room
        self._said: Said | None = None
        """Of the blocks that are condensed; None while there are none."""
        self._block: list[bytes | _Texts] = []
        self._size = 0
        """Bytes that the block takes."""
        self._most = 0
        """Bytes that it may take before something has to be done."""
        self._share = 0
        """Bytes of the room that are set aside for this transcript."""
        self.lost = False

    def add(self, data: bytes) -> None:
        """Whole events, as they were sent."""
        self._block.append(data)
        self._size += len(data) + _PIECE
        if self._size > self._most:
            self._grow()

    def add_texts(self, pattern: Pattern, texts: Sequence[bytes]) -> None:
        """Events of a pattern, as they were sent."""
        self._block.append(_Texts(pattern, texts))
        self._size += sum(map(len, texts)) + _PIECE * (len(texts) + 1)
        if self._size > self._most:
            self._grow()

    def said(self) -> Said | None:
        """What was said so far; None if that was too much to be kept."""
        if not self.lost:
            self._turn()
        return None if self.lost else self._said

    def close(self) -> None:
        """The stream is over; its memory is free."""
        self._room.used -= self._share
        self._share = self._size = 0
        self._block = []
        self._said = None

    def _grow(self) -> None:
        if self.lost:
            # `add` goes on blindly, so that it need not ask for every event.
            self._block.clear()
            self._size = 0
        elif self._size > BLOCK:
            self._turn()
        else:
            self._fit()

    def _turn(self) -> None:
        """Condense the block."""
        block, self._block, self._size = b"".join(map(_events, self._block)), [], 0
        said = self._said = self._said or Said()
        try:
            self._condense(block, said)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            # Being able to go on is worth much, but never the stream itself.
            said.others.add(UNREADABLE)
        said.texts = [b"".join(said.texts)]
        self._fit()

    def _fit(self) -> None:
        """Set aside as much of the room as is needed, and a little more."""
        said = 0 if self._said is None else self._said.size
        needed = said + self._size
        if needed + _GRAIN > self._share:
            more = needed + _GRAIN - self._share
            if said > MOST_SAID or self._room.used + more > self._room.limit:
                self.close()
                self.lost = True
                self._most = BLOCK
                return
            self._share += more
            self._room.used += more
        self._most = min(self._share - said, BLOCK)


def _events(piece: bytes | _Texts) -> bytes:
    return piece if isinstance(piece, bytes) else piece.pattern.events(piece.texts)
