"""Embeddings of one name have one length, whoever gives them: vectors of two models cannot be compared, which nobody
would notice.

What is known beforehand is checked in the configuration; here is what answers tell.
"""

from __future__ import annotations

from typing import Final

_MOST: Final = 1024
"""Names, and lengths that clients ask for, that are remembered."""


class Dimensions:
    """The length that each name has given, for each length that clients ask for."""

    __slots__ = ("_given",)

    def __init__(self) -> None:
        self._given: dict[tuple[str, int | None], int] = {}

    def problem(self, name: str, asked: int | None, got: int) -> str | None:
        """What is wrong with an answer whose vectors have `got` numbers; None for nothing.

        `name` is the model that was asked for: a route, or of a glob's one of many. `asked` is the request's
        `dimensions`. The first answer sets what the later ones must be like.
        """
        if asked is not None and got != asked:
            return f"the vectors have {got} numbers, not {asked} as was asked for"
        before = self._given.get((name, asked))
        if before is None:
            if len(self._given) >= _MOST:
                del self._given[next(iter(self._given))]
            self._given[name, asked] = got
        elif got != before:
            return f"the vectors have {got} numbers, those that this route gave before {before}"
        return None
