"""The supervisor's end of its way to one process: what is read from it, and what waits to be written."""

from __future__ import annotations

import contextlib
import pickle
import selectors
import socket
from collections.abc import Callable
from typing import Any, Final

from proxy.workers.frames import Frames, frame

_READ: Final = 256 * 1024
LARGEST_HEAD: Final = 256 * 1024
"""Bytes that come with a connection that moves."""

Message = tuple[Any, ...]


class Port:
    """One process's. Nothing here ever waits."""

    def __init__(
        self, number: int, pid: int, channel: socket.socket, moving: socket.socket, selector: selectors.BaseSelector
    ) -> None:
        """`channel` is the stream of messages, `moving` the way of connections that are handed over."""
        self.number = number
        self.pid = pid
        self.channel = channel
        self.moving = moving
        self.joined = False
        """Whether it is told what others tell."""
        self.welcomed_by: int | None = None
        """The leader that has been asked for its snapshot."""
        self.welcome = 0
        """Which of all welcomes the snapshot is the answer to."""
        self._kept = bytearray()
        self.deaf = False
        """It listens no more."""
        self._selector = selector
        self._frames = Frames()
        self._unsent = bytearray()

    def watch(self, serve: Callable[[int], None], moves: Callable[[int], None]) -> None:
        """Have these called when there is something to be read or room to write, and when a connection moves."""
        for end, heed in ((self.channel, serve), (self.moving, moves)):
            end.setblocking(False)
            self._selector.register(end, selectors.EVENT_READ, heed)

    def read(self) -> list[tuple[int, bytes]]:
        """What has come: to whom, and what."""
        found: list[tuple[int, bytes]] = []
        while True:
            try:
                data = self.channel.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return found
            except OSError:
                data = b""
            if not data:
                # Its end is told by the system; until then there is nothing to read.
                self._unwatch(self.channel)
                return found
            found += self._frames.feed(data)

    def read_moved(self) -> tuple[bytes, list[int]]:
        """A connection that moves: what has been read of it, and its file descriptor; none where there is none."""
        try:
            head, descriptors, _, _ = socket.recv_fds(self.moving, LARGEST_HEAD, 1)
        except OSError:
            return b"", []
        if not descriptors and not head:
            self._unwatch(self.moving)
        return head, descriptors

    def send(self, source: int, *messages: Message) -> int:
        """Say something; how many bytes wait to be written."""
        return self.queue(frame(source, pickle.dumps(list(messages), pickle.HIGHEST_PROTOCOL)))

    def queue(self, data: bytes) -> int:
        """Write a frame, as soon as there is room; how many bytes wait for that."""
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self.write()
        return len(self._unsent)

    def keep(self, data: bytes) -> int:
        """Keep a frame that others told while the snapshot is awaited; how many bytes are kept."""
        self._kept += data
        return len(self._kept)

    def take_kept(self) -> bytes:
        """What was kept, which is kept no more."""
        kept = bytes(self._kept)
        self._kept.clear()
        return kept

    def write(self) -> None:
        """Write what waits, as far as there is room."""
        try:
            while self._unsent:
                del self._unsent[: self.channel.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            # It is gone; the system will say so.
            self._unsent.clear()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        with contextlib.suppress(KeyError, ValueError):
            key = self._selector.get_key(self.channel)
            if key.events != wanted:
                self._selector.modify(self.channel, wanted, key.data)

    def close(self) -> None:
        """Let go of it."""
        for end in (self.channel, self.moving):
            self._unwatch(end)
            end.close()

    def _unwatch(self, end: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(end)
