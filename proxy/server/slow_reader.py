"""Patience with clients that do not take what is sent to them."""

from __future__ import annotations

import asyncio


class SlowReader:
    """Watches one connection from the moment at which its buffers are full.

    Whoever takes some of what waits, now and then, is left alone; whoever takes nothing for as long as the patience
    lasts loses the connection.
    """

    __slots__ = ("_loop", "_patience", "_timer", "_transport", "_unsent")

    def __init__(self, transport: asyncio.Transport, patience: float) -> None:
        """`patience` is in seconds."""
        self._transport = transport
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._watch()

    def stop(self) -> None:
        """It has caught up, or is gone."""
        self._timer.cancel()

    def _watch(self) -> None:
        self._unsent = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._patience, self._look)

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() >= self._unsent:
            self._transport.abort()
        else:
            self._watch()
