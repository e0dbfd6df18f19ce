"""A store in one SQLite file.

The event loop never waits for the file: values are queued here, and a thread of the store's own writes them, all that
was queued in one transaction. While a write is under way, or has failed lately, what is saved gathers in the queue, the
latest value of each key; so trouble with the file costs nothing but the safety of what is queued.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from proxy.core.event import StoreRecovered, StoreTrouble
from proxy.stores.sqlite_file import Kept, Outcome, SqliteFile
from proxy.stores.store import LARGEST_VALUE, Saved
from proxy.stores.uptime import BootClock, Moment, age, boot_clock

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class SqliteStore:
    """Keeps values in the file at `path`, whose directory must exist. See `Store`.

    Trouble is told once, when it begins, and that it is over when everything is written again; both through `emit`, in
    the event loop's thread. A failed write is tried again after a pause, which grows.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        emit: Callable[[StoreTrouble | StoreRecovered], None],
        boot_clock: BootClock = boot_clock,
    ) -> None:
        self._file = SqliteFile(path)
        self._path = os.fspath(path)
        self._emit = emit
        self._boot_clock = boot_clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdfast-state")
        self._closed = False
        self._queued: dict[str, Kept] = {}
        self._writing: asyncio.Future[Outcome] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._pause = _FIRST_PAUSE_S
        self._failing = False
        self._troubled = False
        self._refused: set[str] = set()

    async def load(self) -> dict[str, Saved]:
        """See `Store`."""
        await self.flush()
        if self._closed:
            return {}
        outcome = await asyncio.get_running_loop().run_in_executor(self._thread, self._file.read)
        self._tell_outcome(outcome, "what was saved before is left out")
        now = Moment(*self._boot_clock())
        return {
            key: Saved(kept.value, age(kept.at, now)) for key, kept in outcome.values.items() if kept.value is not None
        }

    def save(self, values: Mapping[str, bytes | None]) -> None:
        """See `Store`."""
        now = Moment(*self._boot_clock())
        for key, value in values.items():
            if (reason := _unfit(key, value)) is None:
                self._refused.discard(key)
                self._queued[key] = Kept(value, now)
            elif key not in self._refused:
                self._refused.add(key)
                self._tell(f"{self._path}: {key[:100]!a} is not saved, because {reason}")
        if self._retry is None:
            self._begin()

    async def flush(self) -> None:
        """See `Store`. Writes at once, even while pausing after a failure."""
        # What is queued now is in the write under way or in the one that follows; later saves are not waited for.
        for _ in range(2):
            self._begin()
            if self._writing is not None:
                await asyncio.wait([self._writing])
            if self._failing:
                return

    async def close(self) -> None:
        """See `Store`."""
        await self.flush()
        if self._closed:
            return
        self._closed = True
        self._cancel_retry()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    def _begin(self) -> None:
        """Write what is queued, unless a write is under way."""
        if self._writing is not None or not self._queued or self._closed:
            return
        self._cancel_retry()
        batch, self._queued = self._queued, {}
        self._writing = asyncio.get_running_loop().run_in_executor(self._thread, self._file.write, batch)
        self._writing.add_done_callback(partial(self._wrote, batch))

    def _wrote(self, batch: dict[str, Kept], writing: asyncio.Future[Outcome]) -> None:
        self._writing = None
        outcome = writing.result()
        if outcome.failure is not None:
            self._queued = batch | self._queued
            self._retry = asyncio.get_running_loop().call_later(self._pause, self._begin)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)
        self._tell_outcome(outcome, "the latest state is kept in memory until it can")
        if outcome.failure is None:
            self._well()
            self._begin()

    def _well(self) -> None:
        self._failing = False
        self._pause = _FIRST_PAUSE_S
        if self._troubled and not self._refused:
            self._troubled = False
            self._emit(StoreRecovered())

    def _tell_outcome(self, outcome: Outcome, consequence: str) -> None:
        if outcome.set_aside is not None:
            self._tell(outcome.set_aside)
        if outcome.failure is not None and not self._failing:
            self._failing = True
            self._tell(f"{outcome.failure}; {consequence}")

    def _tell(self, problem: str) -> None:
        self._troubled = True
        self._emit(StoreTrouble(problem))

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


def _unfit(key: str, value: bytes | None) -> str | None:
    """Why this can never be saved, if so."""
    if value is not None and len(value) > LARGEST_VALUE:
        return f"it has {len(value)} bytes, and at most {LARGEST_VALUE} are kept"
    try:
        key.encode()
    except UnicodeEncodeError:
        return "its name is not text"
    return None
