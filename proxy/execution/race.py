"""Several attempts of one request under way at once: the first good answer wins, the others are given up.

Leaving the race, in whatever way, cancels whoever still runs and waits for them to let go, so that each has given its
permit back: nobody is blamed for having been slower. Whoever is cancelled while leaving has no use for the answer in
hand either, so that is let go, too: a stream has an owner at every moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self

from proxy.core.failure import Failure
from proxy.execution.run import Result, StreamAnswer
from proxy.pool.permit import Permit


class Race:
    """The runners of one request. Use as an async context."""

    def __init__(self, let_go: Callable[[StreamAnswer], None], clock: Callable[[], float]) -> None:
        """`let_go` ends a stream that nobody wants any more."""
        self._let_go = let_go
        self._clock = clock
        self._running: dict[asyncio.Task[Result], tuple[int, Permit]] = {}
        self._in_hand: StreamAnswer | None = None
        """What `next` gave away last, for as long as the race goes on."""

    @property
    def steps(self) -> list[int]:
        """The steps of the plan that are being tried."""
        return [step for step, _ in self._running.values()]

    def start(self, step: int, permit: Permit, attempt: Coroutine[None, None, Result]) -> None:
        """Let one more run."""
        self._running[asyncio.create_task(attempt, name=f"attempt on {permit.deployment.id}")] = (step, permit)

    async def next(self, until: float | None = None) -> tuple[int, Result] | None:
        """The next who arrives, with what it brings; None when nobody does before the moment `until`."""
        patience = None if until is None else max(0.0, until - self._clock())
        done, _ = await asyncio.wait(self._running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        # Of several that arrived together a good one comes first, and of these the earliest of the chain.
        task = min(done, key=lambda task: (task.exception() is None and _failed(task), self._running[task][0]))
        step, _ = self._running.pop(task)
        result = task.result()
        self._in_hand = result if isinstance(result, StreamAnswer) else None
        return step, result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task, (_, permit) in self._running.items():
            permit.lost = kind is None
            # Done or not, and whatever comes in between: a stream that arrives from now on is let go.
            task.add_done_callback(self._late)
            task.cancel()
        running, self._running = list(self._running), {}
        left = kind is None
        try:
            if running:
                await asyncio.wait(running)
        except asyncio.CancelledError:
            left = False
            raise
        finally:
            if not left and self._in_hand is not None:
                self._let_go(self._in_hand)

    def _late(self, task: asyncio.Task[Result]) -> None:
        if not task.cancelled() and task.exception() is None and isinstance(answer := task.result(), StreamAnswer):
            self._let_go(answer)


def _failed(task: asyncio.Task[Result]) -> bool:
    return isinstance(task.result(), Failure)
