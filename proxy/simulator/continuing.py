"""Going on with an answer that was begun elsewhere: how a request asks for it, and what is said then.

The *part* is what was said of the answer so far. A request gives it as the assistant's last message, and either ends
there (a prefill) or with a message of the user that asks to go on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from proxy.simulator.question import text_of
from proxy.simulator.tokens import tokens_of

Prefill = Literal["continue", "repeat", "tail", "restate", "space", "ignore"]

MARK = "[…]"
"""What the user may put before the last characters of the part, to have them repeated behind the same mark."""

_QUOTE = 16  # characters of the part's end that make another message a quote of it
_TAIL = 100  # characters that are said again at most by `tail`


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer that a request shows the beginning of."""

    part: str
    """As it was sent."""
    question: str
    """The message of the user that it answers."""
    request: str | None
    """The message of the user that follows; None when the request ends with the part."""

    @property
    def said(self) -> str:
        """The part without white space at its end."""
        return self.part.rstrip()

    @property
    def space(self) -> str:
        """The white space at the part's end."""
        return self.part[len(self.said) :]

    def is_of(self, text: str) -> bool:
        """Whether going on is what is wanted of an upstream whose own answer is `text`.

        A message after the part asks for that if it quotes the end of it; or, as only the same upstream can tell, if
        the part is an unfinished answer of its own.
        """
        if self.request is None or _quotes(self.request, self.said):
            return True
        return self.said != text and text.startswith(self.said)


def question_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The last message of the user, empty if there is none."""
    return next((text_of(one) for one in reversed(messages) if one.get("role") == "user"), "")


def begun(messages: Sequence[Mapping[str, Any]]) -> Begun | None:
    """The answer that the messages may ask to go on with, None if they show none."""
    asks = bool(messages) and messages[-1].get("role") == "user"
    place = len(messages) - (2 if asks else 1)
    if place < 0 or messages[place].get("role") != "assistant":
        return None
    request = text_of(messages[-1]) if asks else None
    found = Begun(text_of(messages[place]), question_of(messages[:place]), request)
    return found if found.said else None


def continued(text: str, so_far: Begun, way: Prefill) -> str:
    """What an upstream whose own answer is `text` says after the part."""
    rest = _rest(text, so_far.said)
    next_up = rest.removeprefix(so_far.space)
    match way:
        case "ignore":
            return text
        case "space":
            return rest
        case "repeat":
            return so_far.part + next_up
        case "tail":
            return so_far.part[_tail_start(so_far.said) :] + next_up
        case "restate":
            told = _told_to_repeat(so_far)
            # What is to be repeated ends without white space, so the rest keeps what it begins with.
            return MARK + told + rest if told else next_up
        case "continue":
            return next_up


def _rest(text: str, said: str) -> str:
    """What follows after `said`: the exact rest, or for foreign words the own text from the same word on."""
    if text.startswith(said):
        return text[len(said) :]
    words = tokens_of(text)
    return "".join(words[min(len(said.split()), len(words) - 1) :])


def _quotes(request: str, said: str) -> bool:
    end = said[-_QUOTE:]
    if len(said) >= _QUOTE:
        return end in request
    # A part as short as "I" stands in nearly every message, so it counts as a whole word only.
    return re.search(rf"(?<!\w){re.escape(end)}(?!\w)", request) is not None


def _tail_start(said: str) -> int:
    """Where the last words of about `_TAIL` characters begin."""
    start = len(said) - _TAIL
    if start <= 0:
        return 0
    gap = re.compile(r"\s+").search(said, start - 1)
    # Some languages write without gaps.
    return gap.end() if gap else start


def _told_to_repeat(so_far: Begun) -> str:
    """What stands behind the mark in the user's message and ends the part; empty if there is nothing of that kind.

    The mark may stand there more than once, as it may in the part itself: what is longest is meant.
    """
    request = so_far.request or ""
    behind = [request[found.end() :] for found in re.finditer(re.escape(MARK), request)]
    return max((_overlap(so_far.said, text) for text in behind), key=len, default="")


def _overlap(said: str, text: str) -> str:
    """The longest end of `said` that `text` begins with."""
    longest = min(len(said), len(text))
    return next((text[:size] for size in range(longest, 0, -1) if said.endswith(text[:size])), "")
