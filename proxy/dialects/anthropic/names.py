"""The names of the tools in a request of Messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.dialects.spelling import Spelling

ANSWER: Final = ""
"""What `Outgoing.names` has for the tool whose input is the answer itself; no client can have a tool of that name."""

LONGEST_ID: Final = 256
"""Characters of the id of a call."""
_LONGEST_NAME: Final = 128


class ToolNames(Spelling):
    """The names of one request's tools."""

    __slots__ = ()

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__(_LONGEST_NAME, known)

    def answer(self) -> str:
        """A name for the tool whose input is the answer itself."""
        found = self._sent[ANSWER] = self.take("answer")
        return found
