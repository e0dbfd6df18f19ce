"""Embeddings of one route have one length: vectors of two models cannot be compared, and nobody would notice.

What is known beforehand is checked in the configuration; here is what answers tell.
"""

from __future__ import annotations

from typing import Final

_MOST: Final = 1024
"""Routes, and lengths that clients ask for, that are remembered."""


class Dimensions:
    """The length that each route has given, for each length that clients ask for."""

    __slots__ = ("_given",)

    def __init__(self) -> None:
        self._given: dict[tuple[str, int | None], int] = {}

    def problem(self, route: str, asked: int | None, got: int) -> str | None:
        """What is wrong with an answer whose vectors have `got` numbers; None for nothing.

        `asked` is the request's `dimensions`. The first answer of a route sets what the later ones must be like.
        """
        if asked is not None and got != asked:
            return f"the vectors have {got} numbers, not {asked} as was asked for"
        before = self._given.get((route, asked))
        if before is None:
            if len(self._given) >= _MOST:
                del self._given[next(iter(self._given))]
            self._given[route, asked] = got
        elif got != before:
            return f"the vectors have {got} numbers, those that this route gave before {before}"
        return None
