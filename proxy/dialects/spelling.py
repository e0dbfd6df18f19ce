"""Names of tools and ids of calls, in the letters that a language allows.

Chat allows any text for both. What is not allowed is spelled otherwise, never two of them alike, and the same within a
whole request: a conversation that goes on is spelled as before, so that its cached beginning stays valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_FORBIDDEN: Final = re.compile(r"[^a-zA-Z0-9_-]")


class Spelling:
    """The names of one kind in one request."""

    __slots__ = ("_first", "_forbidden", "_longest", "_numbers", "_sent", "_taken")

    def __init__(
        self,
        longest: int,
        known: Iterable[str] = (),
        *,
        forbidden: re.Pattern[str] = _FORBIDDEN,
        first: re.Pattern[str] | None = None,
    ) -> None:
        """Names have at most `longest` characters, none of them `forbidden`, and begin with one that `first` matches.

        Those that are `known` beforehand are spelled first; the allowed ones among them stay so, whatever their order.
        """
        self._longest = longest
        self._forbidden = forbidden
        self._first = first
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}
        """How many have wanted each spelling that was wanted twice: looking through all of them would take for ever."""
        self._sent: dict[str, str] = {}
        for name in sorted(known, key=lambda name: self._nearest(name) != name):
            self.sent(name)

    def sent(self, name: str) -> str:
        """A name as it is sent; the same each time, and another for every name."""
        found = self._sent.get(name)
        if found is None:
            found = self._sent[name] = self.take(name)
        return found

    def take(self, text: str) -> str:
        """The text, or the nearest to it that is allowed and free; another each time."""
        wanted = free = self._nearest(text)
        if free in self._taken:
            count = self._numbers.get(wanted, 1)
            while free in self._taken:
                count += 1
                ending = f"_{count}"
                free = wanted[: self._longest - len(ending)] + ending
            self._numbers[wanted] = count
        self._taken.add(free)
        return free

    @property
    def renamed(self) -> dict[str, str]:
        """Those that are spelled otherwise: as sent -> as the client knows them."""
        return {sent: name for name, sent in self._sent.items() if sent != name}

    @property
    def used(self) -> list[str]:
        """All that are sent."""
        return list(self._sent.values())

    def _nearest(self, text: str) -> str:
        spelled = self._forbidden.sub("_", text)
        if not spelled or (self._first is not None and not self._first.match(spelled)):
            spelled = "_" + spelled
        return spelled[: self._longest]


class CallIds:
    """The ids of the calls in one conversation: unique, though some servers count from zero in every answer."""

    __slots__ = ("_open", "_spelling")

    def __init__(self, longest: int) -> None:
        """Ids have at most `longest` characters."""
        self._spelling = Spelling(longest)
        self._open: dict[str, list[str]] = {}

    def turn(self) -> None:
        """The assistant speaks anew: what it called before can be answered no more."""
        self._open.clear()

    def call(self, id_: str) -> str:
        """The id of a call, as it is sent."""
        sent = self._spelling.take(id_)
        self._open.setdefault(id_, []).append(sent)
        return sent

    def result(self, id_: str) -> str | None:
        """The id of the call that a result belongs to, as it was sent; None if the assistant made no such call."""
        waiting = self._open.get(id_)
        if not waiting:
            return None
        # The last one stays, so that whoever sends a result twice is understood.
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    @property
    def asked(self) -> list[str]:
        """The calls of the assistant's last turn, as sent."""
        return [sent for waiting in self._open.values() for sent in waiting]
