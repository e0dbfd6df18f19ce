"""Carries events from whoever acts to whoever listens.

A listener is a plain function and must be quick: requests wait while it runs. It is told everything, or, where it has a
member `hears`, the events of these classes. One that has a member `hear_all` is given an iterator of all those of one
moment, in their order, and takes them one by one.

One that fails is reported once and does not disturb the others, nor the request; it is told what came after the event
that it failed over.

What every request may emit can be told `later`, many of them together and in their order: answers leave before anybody
writes down that they did, and what is done for many requests one after the other is done faster than in between.
Everything else is told at once, after what came before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence, Set
from operator import length_hint
from typing import Final, NamedTuple

from proxy.core.event import AttemptEnded, Degraded, FailedOver, Happening, RequestEnded

Listener = Callable[[Happening], None]

_FREQUENT: Final[frozenset[type]] = frozenset({AttemptEnded, Degraded, FailedOver, RequestEnded})
_MOMENT_S: Final = 0.005
"""Seconds in which such events come together, from the first of them."""
_MOST_WAITING: Final = 256

_logger = logging.getLogger("holdfast.telemetry")


class _Ear(NamedTuple):
    """How a listener is told."""

    hears: Set[type] | None
    """None for everything."""
    hear_all: Callable[[Iterator[Happening]], None]
    listener: Listener


class Bus:
    """The list of listeners."""

    def __init__(self) -> None:
        self._ears: list[_Ear] = []
        self._waiting: list[Happening] = []
        self._later: Callable[[float, Callable[[], None]], object] | None = None
        self._is_due = False
        """Somebody calls."""
        self._is_telling = False
        self._reported: set[int] = set()

    def listen(self, listener: Listener) -> None:
        """Add a listener; they are called in the order of adding."""
        hear_all = getattr(listener, "hear_all", None) or _one_by_one(listener)
        self._ears.append(_Ear(getattr(listener, "hears", None), hear_all, listener))

    def tell_later(self, later: Callable[[float, Callable[[], None]], object] | None) -> None:
        """From now on `later` calls what it is given after so many seconds; None tells everything at once again."""
        self._later = later
        self.flush()

    def emit(self, event: Happening) -> None:
        """Tell every listener that hears events of this class."""
        waiting = self._waiting
        waiting.append(event)
        if self._later is None or event.__class__ not in _FREQUENT or len(waiting) >= _MOST_WAITING:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            self._later(_MOMENT_S, self._tell_due)

    def flush(self) -> None:
        """Tell what waits; what listeners emit meanwhile is told after it."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                self._tell(waiting)
        finally:
            self._is_telling = False

    def _tell(self, events: Sequence[Happening]) -> None:
        kinds = set(map(type, events))
        for ear in tuple(self._ears):
            hears = ear.hears
            if hears is None or kinds <= hears:
                self._tell_one(ear, events)
            elif not kinds.isdisjoint(hears):
                self._tell_one(ear, [event for event in events if event.__class__ in hears])

    def _tell_one(self, ear: _Ear, events: Sequence[Happening]) -> None:
        rest = iter(events)
        while left := length_hint(rest):
            try:
                ear.hear_all(rest)
            except Exception as error:  # noqa: BLE001 - telemetry must never cost an answer
                self._report(ear.listener, error)
                if length_hint(rest) == left:
                    # It failed before it took one, and might do so for ever.
                    next(rest)
            else:
                return

    def _tell_due(self) -> None:
        self._is_due = False
        self.flush()

    def _report(self, listener: Listener, error: Exception) -> None:
        if id(listener) not in self._reported:
            self._reported.add(id(listener))
            _logger.error("a telemetry listener failed; further failures of it are not reported", exc_info=error)


def _one_by_one(listener: Listener) -> Callable[[Iterator[Happening]], None]:
    def hear_all(events: Iterator[Happening]) -> None:
        for event in events:
            listener(event)

    return hear_all
