"""Coroutines without tasks: what carries a request from one callback of the network to the next.

Theory of operation. A strand drives one coroutine. The coroutine runs, inside whatever call set it going, until it has
to wait; then that call returns. It waits for one of two things:

- a `Pause`. When it is settled, the coroutine goes on there and then, within the call that settled it: a request that
  waited for its upstream is answered in the very callback that brought the answer, without a turn of the event loop.
- a future of the event loop (a sleep, a task of its own), just as a task would wait for it.

    new --start()--> running --await--> waiting --(settled, done or cancelled)--> running --return--> over

The same coroutines run in tasks as well: `pause` gives what the one or the other can wait for. A strand is nobody's
current task, so what asks for that (`asyncio.timeout`, task groups) has to be given a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator


class Pause:
    """Something that one strand waits for, and that others settle. Has what is used of a future."""

    __slots__ = ("_error", "_settled", "strand")

    def __init__(self) -> None:
        self._settled = False
        self._error: BaseException | None = None
        self.strand: Strand | None = None
        """Who waits."""

    def __await__(self) -> Generator[Pause, None, None]:
        if not self._settled:
            yield self
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                # It knows this frame from now on: whatever keeps both would be the collector's to find.
                del error

    def done(self) -> bool:
        """Whether it is settled."""
        return self._settled

    def set_result(self, _nothing: None) -> None:
        """Let whoever waits go on, now."""
        self._settled = True
        strand, self.strand = self.strand, None
        if strand is not None:
            strand.go_on()

    def set_exception(self, error: BaseException) -> None:
        """Let whoever waits fail, now."""
        self._error = error
        self.set_result(None)


class Strand:
    """Drives one coroutine, which is to catch whatever goes wrong in it."""

    __slots__ = ("_cancelled", "_coroutine", "_waits_for", "over")

    def __init__(self, coroutine: Coroutine[object, None, None]) -> None:
        self.over = False
        self._coroutine = coroutine
        self._waits_for: Pause | asyncio.Future[object] | None = None
        self._cancelled = False
        """It is to be cancelled as soon as it waits."""

    def start(self) -> None:
        """Run until it waits for the first time."""
        self.go_on()

    def cancel(self) -> None:
        """Raise CancelledError where the coroutine waits; it may go on from there."""
        waits_for = self._waits_for
        if self.over:
            return
        if isinstance(waits_for, Pause):
            waits_for.strand = None
            self.go_on(asyncio.CancelledError())
        elif waits_for is None or not waits_for.cancel():
            self._cancelled = True

    def go_on(self, error: BaseException | None = None) -> None:
        """Run until it waits again. For `Pause`."""
        global _current  # noqa: PLW0603 - what runs at this moment is a fact about the thread
        before, _current = _current, self
        self._waits_for = None
        try:
            waits_for = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration:
            self.over = True
            return
        except asyncio.CancelledError:
            self.over = True
            return
        except BaseException as bug:
            self.over = True
            if not isinstance(bug, Exception):
                raise
            context = {"message": "a strand ended in an error", "exception": bug}
            asyncio.get_running_loop().call_exception_handler(context)
            return
        finally:
            _current = before
        self._wait(waits_for)

    def _wait(self, waits_for: object) -> None:
        if waits_for.__class__ is Pause:
            self._waits_for = waits_for
            waits_for.strand = self
        elif isinstance(waits_for, asyncio.Future):
            # What a task does: the future's `__await__` looks at this to see that it was understood.
            waits_for._asyncio_future_blocking = False  # noqa: SLF001
            waits_for.add_done_callback(self._done)
            self._waits_for = waits_for
        else:
            # `asyncio.sleep(0)`: a turn of the loop, and nothing in particular.
            asyncio.get_running_loop().call_soon(self._after_turn)
            return
        if self._cancelled:
            self._cancelled = False
            self.cancel()

    def _after_turn(self) -> None:
        cancelled, self._cancelled = self._cancelled, False
        self.go_on(asyncio.CancelledError() if cancelled else None)

    def _done(self, _future: asyncio.Future[object]) -> None:
        self.go_on()


_current: Strand | None = None


def current() -> Strand | None:
    """The strand that runs at this moment; None in tasks and callbacks."""
    return _current


def pause(loop: asyncio.AbstractEventLoop) -> Pause | asyncio.Future[None]:
    """Something to wait for: for a strand if one runs, else for a task of the loop."""
    return loop.create_future() if _current is None else Pause()
