"""An event loop on which only waiting takes time, and waiting takes no time, over real sockets.

The loop's clock stands still while anything happens. The selector polls real I/O without waiting; if nothing is ready
and the loop wants to sleep, one real millisecond is given to bytes that are on their way through the loopback; if still
nothing comes, the clock jumps to the next timer. So a test may let a minute of backoff, stall and timeout pass in
milliseconds, and the times it measures are exact, however busy the machine is. Only for tests in which everything runs
on this one loop: threads and other processes live in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_IN_FLIGHT_S = 0.001


class _Selector(selectors.DefaultSelector):
    """Never sleeps for long; counts the time that it was asked to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        ready = super().select(_IN_FLIGHT_S if timeout is not None else 0.1)
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock moves by waiting only."""

    def __init__(self) -> None:
        self._virtual_selector = _Selector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        return self._virtual_selector.now


def run_virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
