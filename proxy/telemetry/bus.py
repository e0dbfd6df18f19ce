"""Carries events from whoever acts to whoever listens.

A listener is a plain function and must be quick: requests wait while it runs. It is told everything, or, where it has a
member `hears`, the events of these classes; if that is a mapping, by the function that stands there for a class. One
that fails is reported once and does not disturb the others, nor the request.

What every request may emit can be told `later`, many of them together and in their order: answers leave before anybody
writes down that they did, and what is done for many requests one after the other is done faster than in between.
Everything else is told at once, after what came before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from proxy.core.event import AttemptEnded, Degraded, FailedOver, Happening, RequestEnded

Listener = Callable[[Happening], None]

_FREQUENT: Final[frozenset[type]] = frozenset({AttemptEnded, Degraded, FailedOver, RequestEnded})
_MOMENT_S: Final = 0.005
"""Seconds in which such events come together, from the first of them."""
_MOST_WAITING: Final = 256

_logger = logging.getLogger("holdfast.telemetry")


class Bus:
    """The list of listeners."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._waiting: list[Happening] = []
        self._later: Callable[[float, Callable[[], None]], object] | None = None
        self._is_due = False
        """Somebody calls."""
        self._is_telling = False
        self._by_class: dict[type, tuple[Listener, ...]] = {}
        self._reported: set[int] = set()

    def listen(self, listener: Listener) -> None:
        """Add a listener; they are called in the order of adding."""
        self._listeners.append(listener)
        self._by_class.clear()

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
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            for event in waiting:
                self._tell(event)
        self._is_telling = False

    def _tell(self, event: Happening) -> None:
        listeners = self._by_class.get(event.__class__)
        if listeners is None:
            listeners = self._by_class[event.__class__] = self._who_hears(event.__class__)
        for listener in listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - telemetry must never cost an answer
                self._report(listener, error)

    def _tell_due(self) -> None:
        self._is_due = False
        self.flush()

    def _who_hears(self, kind: type) -> tuple[Listener, ...]:
        found: list[Listener] = []
        for each in self._listeners:
            hears = getattr(each, "hears", (kind,))
            if kind in hears:
                found.append(hears[kind] if isinstance(hears, Mapping) else each)
        return tuple(found)

    def _report(self, listener: Listener, error: Exception) -> None:
        if id(listener) not in self._reported:
            self._reported.add(id(listener))
            _logger.error("a telemetry listener failed; further failures of it are not reported", exc_info=error)
