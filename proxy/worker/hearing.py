"""What a worker is told, in the order in which it was said: kept until there is somebody to hear it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from proxy.workers.frames import SUPERVISOR
from proxy.workers.link import Message

_logger = logging.getLogger("holdfast.worker")


class Hearing:
    """`at_once` heeds what the supervisor says and can be heeded at any time, and says whether it could; `heed` is
    given the rest of that, `hear` what other workers say, and `heard` is called after each batch."""

    def __init__(
        self,
        at_once: Callable[[Message], bool],
        heed: Callable[..., None],
        hear: Callable[..., None],
        heard: Callable[[], None],
    ) -> None:
        self.begun = False
        """Whether there is somebody to hear."""
        self._at_once = at_once
        self._heed, self._hear, self._heard = heed, hear, heard
        self._early: list[tuple[int, list[Message]]] = []

    def begin(self) -> None:
        """Hear what was kept, and from now on everything."""
        self.begun = True
        early, self._early = self._early, []
        for source, messages in early:
            self._give(source, messages)

    def __call__(self, source: int, messages: list[Message]) -> None:
        """Somebody has said something."""
        if source == SUPERVISOR:
            messages = [message for message in messages if not self._at_once(message)]
        if self.begun:
            self._give(source, messages)
        elif messages:
            self._early.append((source, messages))

    def _give(self, source: int, messages: list[Message]) -> None:
        for message in messages:
            try:
                (self._heed if source == SUPERVISOR else self._hear)(*message)
            except Exception:
                # One message that makes no sense must not cost the others.
                _logger.exception("a bug of the proxy, in what a worker was told (%.40s)", message[0])
        self._heard()
