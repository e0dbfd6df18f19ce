"""Names of tools and ids of calls, in the letters that Messages allows.

Chat allows any text for both. What is not allowed is spelled otherwise, never two of them alike, and the same within a
whole request: a conversation that goes on is spelled as before, so that its cached beginning stays valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ANSWER: Final = ""
"""What `Outgoing.names` has for the tool whose input is the answer itself; no client can have a tool of that name."""

_LONGEST_NAME: Final = 128
_LONGEST_ID: Final = 256
_FORBIDDEN: Final = re.compile(r"[^a-zA-Z0-9_-]")


class _Spelling:
    """Spells texts in the allowed letters, never two alike."""

    __slots__ = ("_longest", "_taken")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._taken: set[str] = set()

    def take(self, text: str) -> str:
        """The text, or the nearest to it that is allowed and free."""
        wanted = _FORBIDDEN.sub("_", text)[: self._longest] or "_"
        free = wanted
        count = 2
        while free in self._taken:
            ending = f"_{count}"
            free = wanted[: self._longest - len(ending)] + ending
            count += 1
        self._taken.add(free)
        return free


class ToolNames:
    """The names of one request's tools."""

    __slots__ = ("_sent", "_spelling")

    def __init__(self, known: Iterable[str] = ()) -> None:
        """`known` are the names of the tools; those that are allowed as they are stay so, whatever their order."""
        self._spelling = _Spelling(_LONGEST_NAME)
        self._sent: dict[str, str] = {}
        for name in sorted(known, key=_is_forbidden):
            self.sent(name)

    def sent(self, name: str) -> str:
        """A tool's name as it is sent."""
        found = self._sent.get(name)
        if found is None:
            found = self._sent[name] = self._spelling.take(name)
        return found

    def answer(self) -> str:
        """A name for the tool whose input is the answer itself."""
        found = self._sent[ANSWER] = self._spelling.take("answer")
        return found

    @property
    def renamed(self) -> dict[str, str]:
        """As sent -> as the client knows them."""
        return {sent: name for name, sent in self._sent.items() if sent != name}

    @property
    def used(self) -> list[str]:
        """All that are sent."""
        return list(self._sent.values())


class CallIds:
    """The ids of the calls in one conversation: unique, though some servers count from zero in every answer."""

    __slots__ = ("_open", "_spelling")

    def __init__(self, longest: int = _LONGEST_ID) -> None:
        self._spelling = _Spelling(longest)
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


def _is_forbidden(name: str) -> bool:
    return not 0 < len(name) <= _LONGEST_NAME or _FORBIDDEN.search(name) is not None
