"""Writes log lines without ever making a request wait.

Lines go into a bounded queue and are written by a thread, whole lines only, and those of a moment together: waking the
thread for each would cost more than the line. When whoever reads the log is too slow the oldest waiting lines are
dropped and counted; when the pipe is closed, writing stops. Neither stops the proxy.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from typing import BinaryIO, Protocol

_MAX_WAITING = 10_000
_MAX_LINE = 16 * 1024
_MOMENT_S = 0.02
"""Seconds in which lines come together, from the first of them."""
_AT_ONCE = 4095


class Writer(Protocol):
    """A stream of lines."""

    def write(self, line: bytes) -> None:
        """Write one line, without its line end."""

    def close(self, timeout: float = 1.0) -> None:
        """Write what is waiting, but no longer than `timeout` seconds."""


class PlainWriter:
    """A stream of lines, few of them, that are written at once and without a thread; what does not fit is lost."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        """Write one line, without its line end, unless that would have to wait."""
        with contextlib.suppress(OSError, ValueError):
            descriptor = self._stream.fileno()
            # As much as fits into a pipe that takes anything at all.
            if select.select([], [descriptor], [], 0)[1]:
                os.write(descriptor, line[:_AT_ONCE] + b"\n")

    def close(self, timeout: float = 1.0) -> None:
        """Nothing is waiting."""


class LineWriter:
    """A stream of lines, written in the background."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._asleep = False
        """The thread has seen that nothing is waiting, and is to be woken for the next line."""
        self._closed = threading.Event()
        self.dropped = 0
        """Lines that were lost because the reader was too slow."""
        self._told_dropped = 0
        self._thread = threading.Thread(target=self._run, name="holdfast-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line, without its line end. Longer lines are cut."""
        if len(self._waiting) >= _MAX_WAITING:
            with contextlib.suppress(IndexError):
                self._waiting.popleft()
                self.dropped += 1
        self._waiting.append(line if len(line) <= _MAX_LINE else line[:_MAX_LINE])
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def close(self, timeout: float = 1.0) -> None:
        """Write what is waiting, but no longer than `timeout` seconds."""
        self._closed.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._asleep = True
            if not self._waiting and not self._closed.is_set():
                self._wake.wait()
            self._asleep = False
            self._wake.clear()
            self._closed.wait(_MOMENT_S)
            lines: list[bytes] = []
            with contextlib.suppress(IndexError):
                while True:
                    lines.append(self._waiting.popleft())
            if (lost := self.dropped) > self._told_dropped:
                lines.append(b'{"event":"log lines were lost","lines":%d}' % (lost - self._told_dropped))
                self._told_dropped = lost
            try:
                if lines:
                    self._stream.write(b"\n".join(lines) + b"\n")
                    self._stream.flush()
            except (OSError, ValueError):
                return
            if self._closed.is_set() and not self._waiting:
                return
