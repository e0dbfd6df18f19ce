"""Processes that are forked off the supervisor: what one is given, and what it lets go of."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys
from collections.abc import Callable, Iterable, Sequence

from proxy.workers.port import LARGEST_HEAD, Port
from proxy.workers.seat import Seat
from proxy.workers.signals import Signals
from proxy.workers.sockets import Listening
from proxy.workers.table import Table


class Forking:
    """All that is forked off has the same tables and the same sockets."""

    def __init__(
        self,
        numbers: int,
        listening: Sequence[Listening],
        selector: selectors.BaseSelector,
        signals: Signals,
        begun: float,
    ) -> None:
        """There are `numbers` rows in the tables; `begun` is the wall clock's time at the start of the proxy."""
        self.under_way = Table(numbers)
        """What the host has under way."""
        self._paid = Table(numbers, lasting=True)
        self._listening = listening
        self._selector = selector
        self._signals = signals
        self._begun = begun

    def fork(self, number: int, place: int, work: Callable[[Seat], int], others: Iterable[Port]) -> Port:
        """Have somebody work in a process of its own; the way to it. `others` are the ways that are not its own.

        Raises OSError where there are no means for one more.
        """
        with contextlib.ExitStack() as undo:
            ours, theirs = (undo.enter_context(each) for each in socket.socketpair())
            moving, moving_there = (
                undo.enter_context(each) for each in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            )
            for each in (moving, moving_there):
                # Where it would be too little for the head of a request, as on macOS.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_HEAD)
            seat = Seat(number, place, theirs, moving_there, self.under_way, self._paid, self._listening, self._begun)
            held = self._signals.hold()
            try:
                pid = os.fork()
                if pid == 0:
                    _end_with(lambda: self._begin([ours, moving], others, held, work, seat))
            finally:
                self._signals.release(held)
            undo.pop_all()
        theirs.close()
        moving_there.close()
        return Port(number, pid, ours, moving, self._selector)

    def _begin(
        self,
        ours: list[socket.socket],
        others: Iterable[Port],
        held: Iterable[int],
        work: Callable[[Seat], int],
        seat: Seat,
    ) -> int:
        self._let_go(ours, others)
        self._signals.release(held)
        return work(seat)

    def _let_go(self, ours: list[socket.socket], others: Iterable[Port]) -> None:
        """Let go of what is the supervisor's, in the process that was just forked off."""
        self._signals.leave_to_parent()
        self._selector.close()
        for each in (*ours, *(end for port in others for end in (port.channel, port.moving))):
            each.close()
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)


def _end_with(work: Callable[[], int]) -> None:
    """Work in this process, and never return into what the supervisor was doing."""
    code = 70
    try:
        code = work()
    except BaseException:  # noqa: BLE001 - whatever it is, it ends here
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
