"""The event loop that commands run on, and how they are told to stop."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine to its end: on uvloop where it is installed, on asyncio's own loop elsewhere."""
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def told_to_reload() -> asyncio.Event:
    """An event that SIGHUP sets."""
    event = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, event.set)
    return event


class Ending:
    """Whether this process is to end, as SIGTERM says or whoever started it; Ctrl-C is for them alone.

    A service manager may tell both, and then both tell this process: that is one wish, not an impatient second one.
    """

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.at_once = asyncio.Event()
        """It was told a second time by the same one."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._signalled)
        self._signals = 0

    def tell(self, *, at_once: bool = False) -> None:
        """Whoever started this process wants it to end."""
        self.wanted.set()
        if at_once:
            self.at_once.set()

    def _signalled(self) -> None:
        self._signals += 1
        self.tell(at_once=self._signals > 1)


def told_to_stop() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
