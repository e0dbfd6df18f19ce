"""What the world outside is told of several workers as a whole: that they serve, reload, stop, and are alive."""

from __future__ import annotations

import math
from collections.abc import Callable

from proxy.workers.surroundings import Notifies


class Announcing:
    """Each thing is told once. `now` is monotonic, in seconds."""

    def __init__(self, notifier: Notifies, ready: Callable[[], None]) -> None:
        """`ready` is called besides, when all serve for the first time."""
        self._notifier = notifier
        self._ready = ready
        self._serves = self._reloads = False
        self._sign_due = -math.inf

    def serves(self) -> None:
        """Nobody is awaited any more, and somebody serves."""
        if not self._serves:
            self._serves = True
            self._ready()
            self._notifier.ready()

    def reloads(self) -> None:
        """The configuration is being read again."""
        self._notifier.reloading()
        self._reloads = True

    def reloaded(self) -> None:
        """It has been read."""
        if self._reloads:
            self._reloads = False
            self._notifier.ready()

    def stops(self) -> None:
        """All are on their way out."""
        self._notifier.stopping()

    def sign_due(self) -> float:
        """When a sign of life is due; infinity for never, or not before all serve."""
        return math.inf if self._notifier.patience is None or not self._serves else self._sign_due

    def give_sign(self, now: float) -> None:
        """Give a sign of life, if one is due."""
        if self._notifier.patience is not None and now >= self._sign_due and self._serves:
            self._notifier.alive()
            self._sign_due = now + self._notifier.patience / 2
