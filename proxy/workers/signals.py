"""Signals, heard by a process that sleeps in a selector."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterable
from typing import Final

_HEARD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)


class Signals:
    """Each signal that arrives makes `arrives` readable, and is given once by `heard`."""

    def __init__(self) -> None:
        self.arrives, self._note = socket.socketpair()

    def begin(self) -> None:
        """Hear them from now on."""
        self.arrives.setblocking(False)
        self._note.setblocking(False)
        signal.set_wakeup_fd(self._note.fileno(), warn_on_full_buffer=False)
        for number in _HEARD:
            signal.signal(number, lambda _number, _frame: None)

    def heard(self) -> list[int]:
        """Those that have arrived, in their order."""
        with contextlib.suppress(BlockingIOError):
            return list(self.arrives.recv(4096))
        return []

    def end(self) -> None:
        """Hear none any more."""
        signal.set_wakeup_fd(-1)

    def hold(self) -> Iterable[int]:
        """Let those that arrive wait; what to give to `release`.

        A process that is forked off meanwhile has the pipe of its parent, and must not write to it what it was told.
        """
        return signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)

    def release(self, held_before: Iterable[int]) -> None:
        """Let them come."""
        signal.pthread_sigmask(signal.SIG_SETMASK, held_before)

    def leave_to_parent(self) -> None:
        """In a process that was just forked off: be told by the parent what to do, and by SIGTERM."""
        signal.set_wakeup_fd(-1)
        for number in _HEARD:
            signal.signal(number, signal.SIG_DFL)
        # Ctrl-C reaches the whole group; what to do about it is the parent's matter.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.arrives.close()
        self._note.close()
