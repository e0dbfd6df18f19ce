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


def told_to_terminate() -> asyncio.Event:
    """An event that SIGTERM sets; Ctrl-C is for whoever started this process."""
    event = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, event.set)
    return event


def told_to_stop() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
