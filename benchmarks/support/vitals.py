"""What a process takes of the machine, over time; read from /proc, so on Linux only."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.support.children import Fleet

_PATIENCE_S = 20.0


class Vitals(NamedTuple):
    """At one moment. `at` is in seconds from the start; memory is in bytes."""

    at: float
    pss: int
    rss: int
    descriptors: int
    requests: int
    attempts: int

    def line(self) -> str:
        """For the eye."""
        memory = f"PSS {self.pss / 2**20:6.1f} MB, RSS {self.rss / 2**20:6.1f} MB"
        return (
            f"{self.at:6.0f} s: {memory}, {self.descriptors:3} descriptors, {self.requests:3} requests, "
            f"{self.attempts:3} attempts"
        )


async def vitals(running: Fleet, pid: int, started: float) -> Vitals:
    """Those of the proxy now."""
    status = await running.get("/admin/v1/status")
    attempts = int(await running.counted("holdfast_upstream_in_flight_attempts"))
    memory = _memory(pid)
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names that vanish meanwhile are no matter
    at = time.monotonic() - started
    return Vitals(at, memory["Pss"], memory["Rss"], descriptors, status["in_flight"], attempts)


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    rows = (line.split() for line in lines)
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


async def inspected(running: Fleet, pid: int) -> dict[str, Any]:
    """What lives in a process that is `benchmarks.support.inspected`."""
    file = running.folder / "inspected.jsonl"
    before = _lines(file)
    os.kill(pid, signal.SIGUSR1)
    async with asyncio.timeout(_PATIENCE_S):
        while len(now := _lines(file)) == len(before):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    seen: dict[str, Any] = json.loads(now[-1])
    return seen


def _lines(file: Path) -> list[str]:
    """Those that are written to their end."""
    return file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []


def growth(samples: Sequence[Vitals], since: float) -> tuple[float, float]:
    """Resident memory from the first to the last fifth of the time after `since`: medians, in bytes.

    PSS is shown beside it and not judged: it changes when other processes of the same Python come and go.
    """
    later = [each for each in samples if each.at >= since]
    fifth = max(len(later) // 5, 1)
    first, last = later[:fifth], later[-fifth:]
    return statistics.median(each.rss for each in first), statistics.median(each.rss for each in last)
