"""Questions to all workers, and what all have counted: as plain bookkeeping.

What a worker has counted is kept here by the process that outlives it, so that a sum that was shown never becomes
smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_PATIENCE_S: Final = 1.0

Counted = Mapping[Any, float]


@dataclass(slots=True)
class Question:
    """One that is open. `number` is who asks, `ticket` theirs to know it by."""

    number: int
    ticket: int
    until: float
    awaited: set[int]
    answers: list[Any] = field(default_factory=list)


class Questions:
    """Those that are open. `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._open: list[Question] = []

    def ask(self, number: int, ticket: int, awaited: Iterable[int], now: float) -> None:
        """Somebody asks others."""
        self._open.append(Question(number, ticket, now + _PATIENCE_S, set(awaited)))

    def answer(self, by: int, number: int, ticket: int, value: object) -> None:
        """Somebody answers."""
        for question in self._open:
            if (question.number, question.ticket) == (number, ticket) and by in question.awaited:
                question.awaited.discard(by)
                question.answers.append(value)

    def gone(self, number: int) -> None:
        """Somebody will not answer any more."""
        for question in self._open:
            question.awaited.discard(number)

    def settled(self, now: float) -> list[Question]:
        """Those that all have answered, or that have waited for long enough; they are open no more."""
        over = [each for each in self._open if not each.awaited or each.until <= now]
        self._open = [each for each in self._open if each not in over]
        return over

    def next_due(self) -> float:
        """When one will have waited for long enough; infinity for none."""
        return min((each.until for each in self._open), default=math.inf)


class Tally:
    """What each worker has counted, as it last said, and what those had who are gone."""

    def __init__(self) -> None:
        self._counted: dict[int, Counted] = {}
        self._gone: dict[Any, float] = {}

    def note(self, number: int, counted: Counted) -> None:
        """A worker says what it has counted."""
        self._counted[number] = counted

    def gone(self, number: int) -> None:
        """A worker is gone; its number will be another's."""
        _add(self._gone, self._counted.pop(number, {}))

    def of_others(self, number: int) -> dict[Any, float]:
        """What all but one have counted, those included who are gone."""
        total = dict(self._gone)
        for other, counted in self._counted.items():
            if other != number:
                _add(total, counted)
        return total


def _add(total: dict[Any, float], counted: Counted) -> None:
    for key, value in counted.items():
        total[key] = total.get(key, 0.0) + value
