"""The process that plays the simulated upstreams for all workers: started when it is wanted first, and kept going."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Callable
from typing import Final

from proxy.workers.frames import SUPERVISOR, frame
from proxy.workers.port import Message, Port
from proxy.workers.relay import Relay
from proxy.workers.seat import Seat
from proxy.workers.surroundings import Says

_NUMBER: Final = 0xFFF0
"""Its address, which is no worker's."""

Known = tuple[dict[str, int], int]
"""The ports on which it plays: of each upstream, and of the control API."""


class Playing:
    """`play` is what it does; `fork` makes a process that does something, with a number at a place."""

    def __init__(
        self,
        play: Callable[[Seat, Known | None], int],
        fork: Callable[[int, int, Callable[[Seat], int]], Port],
        relay: Relay,
        log: Says,
    ) -> None:
        self.port: Port | None = None
        """The way to it, once there is one."""
        self._play = play
        self._fork = fork
        self._relay = relay
        self._log = log
        self._known: Known | None = None
        self._asked: bytes | None = None
        """What was last asked of it, by whom."""

    def ask(self, asker: int, message: Message) -> None:
        """A worker wants upstreams to be played."""
        self._asked = frame(SUPERVISOR, pickle.dumps([(*message, asker)], pickle.HIGHEST_PROTOCOL))
        if self.port is None:
            self._start()
        else:
            self._relay.send_frame(self.port, self._asked)

    def answer(self, asker: int, known: Known, answer: Message) -> None:
        """It says where it plays, or why it cannot."""
        self._known = known
        if asker in self._relay.ports:
            self._relay.send(self._relay.ports[asker], ("played", *answer))

    def ended(self, code: int, *, wanted: bool) -> None:
        """It is gone; another one plays on the same ports if it is still `wanted`."""
        if self.port is not None:
            self.port.close()
            self.port = None
        if wanted:
            self._log.warning("the simulated upstreams ended", code=code)
            self._start()

    def end(self) -> None:
        """End it at once, since it has nothing to save."""
        if self.port is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.port.pid, signal.SIGKILL)
            os.waitpid(self.port.pid, 0)

    def _start(self) -> None:
        known = self._known
        self.port = self._fork(_NUMBER, 0, lambda seat: self._play(seat, known))
        if self._asked is not None:
            self._relay.send_frame(self.port, self._asked)
