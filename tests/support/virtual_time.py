"""An event loop on which only waiting takes time, and waiting takes no time, over real sockets.

The loop's clock stands still while anything happens. The selector polls real I/O without waiting; if nothing is ready
and the loop wants to sleep, one real millisecond is given to bytes that are on their way through the loopback; if still
nothing comes, the clock jumps to the next timer. So a test may let a minute of backoff, stall and timeout pass in
milliseconds, and the times it measures are exact, however busy the machine is. Only for tests in which everything runs
on this one loop: threads and other processes live in real time.

On a real clock a mistake of a rounding error costs a moment, since the clock moves on by itself; here it would turn the
loop for ever. So whoever makes the loop turn without end is named, and the test fails, in each of the three ways: the
clock stands still, the clock runs and the test never ends, or nothing is left that could wake anybody.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_IN_FLIGHT_S = 0.001
_MOST_TURNS = 100_000
"""Turns of the loop at one moment of its clock, about two seconds of CPU. The busiest test takes 7,000."""
_MOST_JUMPS = 60_000
"""Jumps of the clock in one test, a minute or two. The longest test takes 4,000."""
_MOST_SILENCE_S = 60.0
"""Real seconds without a timer and without a byte: time enough for any thread."""
_SHOWN = 12


class NoEndError(AssertionError):
    """The loop would turn for ever; the message says who turns it."""


class _Selector(selectors.DefaultSelector):
    """Never sleeps for long; counts the time that it was asked to sleep."""

    def __init__(self, who: Callable[[], str]) -> None:
        super().__init__()
        self.now = 1000.0
        self._who = who
        self._turns = self._jumps = 0
        self._silent_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return self._turn(ready)
        ready = super().select(_IN_FLIGHT_S if timeout is not None else 0.1)
        if ready:
            return self._turn(ready)
        if timeout is None:
            self._be_silent()
        else:
            self._jump(timeout)
        return ready

    def _turn(self, ready: list[tuple[selectors.SelectorKey, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        self._silent_since = None
        self._turns += 1
        if self._turns > _MOST_TURNS:
            self._give_up(f"{_MOST_TURNS} turns of the loop, and its clock stands still")
        return ready

    def _jump(self, by: float) -> None:
        self.now += by
        self._turns, self._silent_since = 0, None
        self._jumps += 1
        if self._jumps > _MOST_JUMPS:
            self._give_up(f"{_MOST_JUMPS} jumps of the clock, and the test does not end")

    def _be_silent(self) -> None:
        # Not the loop's clock: what is waited for here is another thread, if anything.
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        if now - self._silent_since > _MOST_SILENCE_S:
            self._give_up("nothing is left that could wake anybody")

    def _give_up(self, why: str) -> None:
        # The tasks that are cancelled now have as long as the test had.
        self._turns, self._jumps, self._silent_since = 0, 0, None
        raise NoEndError(f"{why} (at {self.now - 1000:.6f} s).\n{self._who()}")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock moves by waiting only. Raises NoEndError out of `run_until_complete` when it would not end."""

    def __init__(self) -> None:
        self._virtual_selector = _Selector(self._who_turns)
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        return self._virtual_selector.now

    def _who_turns(self) -> str:
        """What is to run next, what is due, and where the tasks are."""
        timers = sorted(timer for timer in self._scheduled if not timer.cancelled())
        tasks = [
            f"{task.get_name()}: {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            for task in asyncio.all_tasks(self)
            for frame in task.get_stack()[-1:]
        ]
        said = [("ready", list(self._ready)), ("timers", timers), ("tasks", tasks)]
        return "\n".join(
            f"{name} ({len(items)}):" + "".join(f"\n  {item}" for item in items[:_SHOWN]) for name, items in said
        )


def run_virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in virtual time. Raises NoEndError when it has none."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
