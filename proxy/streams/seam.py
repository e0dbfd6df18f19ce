"""Where a broken answer and its continuation meet: what of the new text the client has not seen yet.

Theory of operation
-------------------
The new text's *head* is held back until it is known what it is. It may be the *rest* itself; or it may first *repeat*
what was said: from its beginning (some models always give the beginning back, some start over), or only its last
characters (as a model without prefill is asked to do, behind a mark). What is repeated is cut away, the rest goes on to
the client. A head that could be either is *refused*: a lost or doubled sentence would look like an answer, an error
does not.

    HELD --head is the rest, or its repeat is complete--> SETTLED
      |
      +--head says other words, or could be either------> REFUSED

A repeat is taken for one only if it is long (`ANCHOR`), stands nowhere else in what was said and is not itself made of
repeats, since a text may repeat itself by right: a refrain, the rows of a table, "ha ha ha". What is shorter counts
only where it must be a repeat, behind the mark or from a model that is known to give the beginning back; elsewhere it
is refused, or, if it is so short that any text might begin with it, taken for the rest.

White space at the end of what was said is a matter of its own. The model was given the text without it (some refuse it,
and tokens begin with it), so it writes it again; that much of it is cut away.

Everything here is about characters, never bytes or tokens, so a word or a character that was split over two events is
whole again before it is looked at.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Protocol

MARK: Final = "[…]"
"""What a model that was asked to repeat the last characters puts before them."""
_MARKS: Final = (MARK, "[...]")
ANCHOR: Final = 64
"""Characters of a repeat from which on it is taken for one without further proof."""
_NOTICED: Final = 16
"""Characters of what looks like a repeat from which on it is not taken for the rest either."""
_ROUND: Final = 3
"""Characters in which a part and what stands before it end alike, from which on both are rounds of one song."""
_REACH: Final = 2048
"""How far back, in characters, a repeat of the last part may begin."""
_LONGEST_TAIL: Final = 800
_MOST_PLACES: Final = 32
"""Where a head could belong to more places than this, the text is too repetitive to be judged."""
_UNCLEAR: Final = "a repeat, or by right the same again"


class Echo(Enum):
    """Whether a model that is given the beginning of its answer says that beginning again."""

    NEVER = "never"
    ALWAYS = "always"
    UNKNOWN = "unknown"


class Seam(Protocol):
    """One seam; `feed` gets the new text as it arrives, `end` says that it is over."""

    settled: bool
    """What comes from now on is new to the client."""
    refused: str | None
    """Why the new text cannot be joined to what was said."""
    cut: int
    """Characters of the new text that the client had seen already."""

    def feed(self, text: str) -> str:
        """More of the new text; returns what of it the client gets."""

    def end(self) -> str:
        """The new text is over; returns what the client still gets of it."""


class Replay:
    """The seam with an answer that was begun anew: it has to say all of it again, word for word."""

    __slots__ = ("_said", "cut", "refused", "settled")

    def __init__(self, said: str) -> None:
        self._said = said
        self.cut = 0
        self.refused: str | None = None
        self.settled = not said

    def feed(self, text: str) -> str:
        """As in `Seam`."""
        if self.settled:
            return text
        again = min(len(text), len(self._said) - self.cut)
        if self.refused is not None or not self._said.startswith(text[:again], self.cut):
            self.refused = "other words"
            return ""
        self.cut += again
        if self.cut == len(self._said):
            self.settled = True
            self._said = ""
        return text[again:]

    def end(self) -> str:
        """As in `Seam`."""
        if not self.settled:
            self.refused = "ended too soon"
        return ""


class Join:
    """The seam with a text that goes on, from a model that was given what was said."""

    __slots__ = (
        "_asked",
        "_core",
        "_echo",
        "_head",
        "_marked",
        "_same",
        "_space",
        "_spacing",
        "cut",
        "refused",
        "settled",
    )

    def __init__(self, said: str, echo: Echo = Echo.UNKNOWN, asked: str = "", before: str = "") -> None:
        """`asked` is what the model was asked to repeat behind the mark, if it was. `before` is what the client itself
        put before the answer, as its beginning: who repeats the answer repeats that, too."""
        part = said.rstrip()
        self._core = (before + part).lstrip()
        self._space = said[len(part) :]
        self._echo = echo
        self._asked = asked
        self._head = ""
        self._same = 0
        """As many characters have come that say the core from its beginning; the head then holds only the white space
        before them."""
        self._marked = False
        self._spacing = False
        """It is known where the rest begins; only its white space is still looked at."""
        self.cut = 0
        self.refused: str | None = None
        self.settled = False

    def feed(self, text: str) -> str:
        """As in `Seam`."""
        if self.settled:
            return text
        if self._same:
            if self._core.startswith(text, self._same) and self._same + len(text) < len(self._core):
                # It says the beginning again, so far; what that means is known when it ends.
                self._same += len(text)
                return ""
            self._recall()
        self._head += text
        return self._take(over=False)

    def end(self) -> str:
        """As in `Seam`."""
        if self.settled:
            return ""
        self._recall()
        return self._take(over=True)

    def _recall(self) -> None:
        """Put together again what was only counted."""
        self._head += self._core[: self._same]
        self._same = 0

    def _take(self, *, over: bool) -> str:
        if self.refused is not None:
            return ""
        if not self._spacing:
            begin = self._judge(over=over)
            if begin is None:
                return ""
            self._spacing = True
            # The mark was not said before.
            self.cut = len(self._asked) if self._marked else begin
            self._head = self._head[begin:]
        rest = self._after_space(over=over)
        if rest is None:
            return ""
        self.settled = True
        self._head = self._core = self._asked = ""
        return rest

    def _judge(self, *, over: bool) -> int | None:
        """Where in the head the rest begins; None while that is not known, or when the head is refused."""
        head = self._head.lstrip()
        before = len(self._head) - len(head)
        if not head and not over:
            return None
        if self._asked and (found := self._behind_mark(head, over=over)) is not None:
            return before + found if found >= 0 else None
        common = _common(head, self._core)
        if common == len(head) < len(self._core) and not over:
            self._head, self._same = self._head[:before], common
            return None
        if self._echo is Echo.UNKNOWN and (found := self._tail(head, over=over)) is not None:
            return before + found if found >= 0 else None
        if common == len(self._core) > 0:
            if self._echo is Echo.ALWAYS or (common >= ANCHOR and not _is_periodic(self._core)):
                return before + common
            if self._echo is Echo.UNKNOWN:
                self.refused = _UNCLEAR
        elif self._echo is not Echo.NEVER and common >= min(_NOTICED, max(4, len(self._core) // 2)):
            self.refused = "started over with other words"
        return 0 if self.refused is None else None

    def _behind_mark(self, head: str, *, over: bool) -> int | None:
        """Where the rest begins behind the mark and what was asked for; -1 while held or refused; None: no mark."""
        mark = next((mark for mark in _MARKS if head.startswith(mark)), None)
        if mark is None:
            if not head or not any(mark.startswith(head) for mark in _MARKS):
                return None
            if over:
                self.refused = "ended within the mark"
            return -1
        again = head[len(mark) :].lstrip()
        if again.startswith(self._asked):
            self._marked = True
            return len(head) - len(again) + len(self._asked)
        if over or not self._asked.startswith(again):
            self.refused = "did not repeat what it was asked to"
        return -1

    def _tail(self, head: str, *, over: bool) -> int | None:
        """The length of a repeat of the last part; -1 while it may become one or when refused; None: it is none."""
        core, end = self._core, len(self._core)
        place = core.find(head[:_NOTICED], max(0, end - _REACH), end - _NOTICED + min(len(head), _NOTICED))
        if len(head) < _NOTICED:
            return -1 if place >= 0 and not over else None
        longest = places = 0
        while 0 <= place <= end - _NOTICED:
            places += 1
            if places > _MOST_PLACES:
                self.refused = "too repetitive to be joined"
                return -1
            size = end - place
            if len(head) < size:
                if not over and core.startswith(head, place):
                    return -1
            elif head.startswith(core[place:]):
                longest = max(longest, size)
            place = core.find(head[:_NOTICED], place + 1)
        if longest in {0, end}:
            return None  # a repeat of the whole is judged by what is known of the model
        if longest >= ANCHOR and self._is_singular(end - longest):
            return longest
        self.refused = _UNCLEAR
        return -1

    def _is_singular(self, place: int) -> bool:
        """Whether nothing in what was said speaks for its last part, from a place on, to come again by right.

        It would if it stood elsewhere, too, or were made of repeats; or if what stands before it ended as it does, as
        in the third round of a song.
        """
        core = self._core
        tail = core[place:]
        return (
            core.find(tail) == place
            and not _is_periodic(tail)
            and core[max(0, place - _ROUND) : place] != core[-min(_ROUND, place) :]
        )

    def _after_space(self, *, over: bool) -> str | None:
        """The rest without the white space that the client has seen; None while more of it may come."""
        text, seen = self._head, self._space
        if not seen or text.startswith(seen):
            return text[len(seen) :]
        bare = text.lstrip()
        if not bare and not over and seen.startswith(text):
            return None
        space = text[: len(text) - len(bare)]
        # Two words on the same line may have become two paragraphs, but not the other way round.
        return text if "\n" in space and "\n" not in seen else bare


def tail_of(said: str, least: int = 100) -> str:
    """The last characters by which the end of what was said can be found again: at least so many, if there are.

    More, up to 800, where the text repeats itself, so that they name one place only; they begin where a word does.
    """
    core = said.strip()
    size = least
    while size < min(len(core), _LONGEST_TAIL):
        cut = core.find(" ", max(0, len(core) - size - 24), len(core) - size)
        tail = core[cut + 1 if cut >= 0 else len(core) - size :].lstrip()
        if core.find(tail) == len(core) - len(tail) and not _is_periodic(tail):
            return tail
        size *= 2
    return core[-_LONGEST_TAIL:].lstrip()


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _is_periodic(text: str) -> bool:
    """Whether a text is made of repeats: whether it can be laid over itself, moved by at most two thirds.

    Half would be enough for whole repeats; white space at both ends may be missing here. A text whose first third comes
    again at very many places is not looked at any closer.
    """
    least = len(text) - len(text) * 2 // 3
    place = text.find(text[:least], 1)
    for _ in range(_MOST_PLACES):
        if not 0 <= place <= len(text) - least:
            return False
        if text.startswith(text[place:]):
            return True
        place = text.find(text[:least], place + 1)
    return True
