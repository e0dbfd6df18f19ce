"""Carries events from whoever acts to whoever listens.

A listener is a plain function and must be quick: it runs within the request. It is told everything, or, where it has a
member `hears`, the events of these classes. One that fails is reported once and does not disturb the others, nor the
request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from proxy.core.event import Happening

Listener = Callable[[Happening], None]

_logger = logging.getLogger("holdfast.telemetry")


class Bus:
    """The list of listeners."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._by_class: dict[type, tuple[Listener, ...]] = {}
        self._reported: set[int] = set()

    def listen(self, listener: Listener) -> None:
        """Add a listener; they are called in the order of adding."""
        self._listeners.append(listener)
        self._by_class.clear()

    def emit(self, event: Happening) -> None:
        """Tell every listener that hears events of this class."""
        listeners = self._by_class.get(event.__class__)
        if listeners is None:
            listeners = self._by_class[event.__class__] = self._who_hears(event.__class__)
        for listener in listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - telemetry must never cost an answer
                self._report(listener, error)

    def _who_hears(self, kind: type) -> tuple[Listener, ...]:
        return tuple(each for each in self._listeners if kind in getattr(each, "hears", (kind,)))

    def _report(self, listener: Listener, error: Exception) -> None:
        if id(listener) not in self._reported:
            self._reported.add(id(listener))
            _logger.error("a telemetry listener failed; further failures of it are not reported", exc_info=error)
