"""Runs the proxy for a long time under everything at once, and says whether anything grows or is left over.

    .venv/bin/python -m benchmarks.soak [--minutes 30] [--workers 8] [--traced] > table.md

The load: clients of the official SDK; as many that leave in the middle of their requests and of their answers; faults
of two of the three simulated upstreams; a reload of another configuration every few seconds, some of them refused. One
sample of the proxy's process every few seconds goes to standard error. Exit code 1 if a demand is missed; what grew is
told by the types of objects that there are more of, and with `--traced` by the places that hold more memory (slow).
See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.scenarios.edits import broken, edited
from benchmarks.support.children import ROOT, Fleet, Pace, fleet
from benchmarks.support.complaints import demand_none
from benchmarks.support.rude import Rude
from benchmarks.support.table import Report
from benchmarks.support.talk import WORDS, Talk, telling
from benchmarks.support.vitals import Vitals, growth, inspected, vitals
from proxy.cli.loop import run

FAULTS = (
    "503", "cut:after=9", "stall:after=5", "refuse", "malformed:after=5", "429:retry_after=1", "hang",
    "error_later:after=7", "cut_clean:after=20", "reset_after_headers", "truncated_json", "empty",
    "slow_first_token:seconds=1", "html_502", None,
)  # fmt: skip
_QUIET = {"health": {"probe": "never"}}
_TIMERS = {
    "timeout": {"connect": "1s", "first_token": "2s", "idle": "1s"},
    "deadline": "20s",
    # Short, so that the faults go on to be met.
    "breaker": {"consecutive": 5, "open_for": "2s", "max_open_for": "4s"},
}
_WARM_S = 300.0
_RELOAD_S = 3.0
_FAULT_S = 2.0
_MOST_GROWTH = 0.05
_AFTERWARDS_S = 60.0
"""Seconds for what is idle to be closed: connections to upstreams are kept for 30."""


async def measure(minutes: float, workers: int, *, traced: bool) -> int:
    """1 if a demand is missed."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    report = Report()
    config = {"defaults": {**_QUIET, **_TIMERS}, "routes": {"chat": {"chain": ["a/m", "b/m", "c/m"]}}}
    async with fleet(config, Pace(first_token=0.02, pace=0.01, words=WORDS)) as running:
        await running.kill_proxy()
        pid = await _serve(running, traced=traced)
        await _soak(running, pid, minutes * 60, workers, report)
    day, load = time.strftime("%Y-%m-%d"), ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{day}, {minutes:g} minutes, {os.cpu_count()} virtual cores, load {load}.\n\n{report.markdown()}")
    return 0 if report.good else 1


async def _serve(running: Fleet, *, traced: bool) -> int:
    """The proxy again, in a process that can be looked into; its id."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INSPECTED": str(running.folder / "inspected.jsonl")}
    if traced:
        environment["TRACED"] = "1"
    log = (running.folder / "proxy.log").open("ab")
    running.logs.append(log)
    running.proxy = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.support.inspected", "-c", str(running.folder / "routes.yaml"),
        stdin=DEVNULL, stdout=log, stderr=log, cwd=running.folder, env=environment, start_new_session=True,
    )  # fmt: skip
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                await running.get("/health")
                return running.proxy.pid
            await asyncio.sleep(0.05)


async def _soak(running: Fleet, pid: int, seconds: float, workers: int, report: Report) -> None:
    started, samples = time.monotonic(), list[Vitals]()
    before, at_first = await vitals(running, pid, started), await inspected(running, pid)
    warm = min(_WARM_S, seconds / 6)
    every = min(10.0, seconds / 60)
    at_warm: dict[str, Any] = {}
    async with (
        _troubles(running),
        Rude(running.port, workers) as rude,
        Talk(running.url, "chat", workers, about=2) as talk,
    ):
        while (at := time.monotonic() - started) < seconds:
            await asyncio.sleep(min(every, seconds - at))
            samples.append(await vitals(running, pid, started))
            print(samples[-1].line(), file=sys.stderr, flush=True)
            if not at_warm and samples[-1].at >= warm:
                at_warm = await inspected(running, pid)
        at_last = await inspected(running, pid)
    first, last = growth(samples, warm)
    most = max(each.rss for each in samples if each.at >= warm)
    shown = f"{first / 2**20:.1f} MB, {last / 2**20:.1f} MB ({last / first - 1:+.1%}); at most {most / 2**20:.1f} MB"
    flat = last <= first * (1 + _MOST_GROWTH)
    report.demand("soak", f"resident memory grows by no more than 5 % after {warm:.0f} s", shown, flat)
    report.note("soak", f"more of these since {warm:.0f} s: {_more(at_warm['objects'], at_last['objects'])}")
    if "traced" in at_last:
        report.note("soak", f"more bytes held by: {_more(at_warm['traced'], at_last['traced'])}")
    peak = max(each.descriptors for each in samples)
    report.note("soak", f"at most {peak} descriptors and {max(each.requests for each in samples)} requests at once")
    lost = telling(talk.lost) or "none"
    report.note("soak", f"{len(talk.said):,} requests of good clients, {len(talk.lost)} not answered in full: {lost}")
    report.note("soak", f"rude ones: {', '.join(f'{name} {count}' for name, count in rude.did.most_common())}")
    demand_none(report, "soak", running.folder / "proxy.log")
    await _afterwards(running, pid, started, (before, at_first), report)


@contextlib.asynccontextmanager
async def _troubles(running: Fleet) -> AsyncIterator[None]:
    """Faults and reloads meanwhile; in the end everybody is healthy and the first configuration is back."""
    file = running.folder / "routes.yaml"
    first = file.read_text(encoding="utf-8")
    tasks = [asyncio.create_task(_faults(running)), asyncio.create_task(_reloads(running, json.loads(first)))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        # An error of theirs would have left the soak without trouble, and must not be missed.
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [error for error in ended if isinstance(error, Exception)]
        if errors:
            raise RuntimeError("the troubles ended by themselves") from errors[0]
    for name in ("a", "b"):
        await running.inject(name, None)
    file.write_text(first, encoding="utf-8")
    await running.post("/admin/v1/reload", {})


async def _faults(running: Fleet) -> None:
    luck = random.Random(1)
    while True:
        await running.inject(luck.choice("ab"), luck.choice(FAULTS))
        await asyncio.sleep(luck.uniform(0.5, 1.5) * _FAULT_S)


async def _reloads(running: Fleet, original: dict[str, Any]) -> None:
    luck = random.Random(2)
    file = running.folder / "routes.yaml"
    while True:
        await asyncio.sleep(_RELOAD_S)
        what = broken(original, luck) if luck.random() < 0.2 else edited(original, luck, "c")
        if isinstance(what, dict):
            what["defaults"] |= _TIMERS
        file.write_text(what if isinstance(what, str) else json.dumps(what), encoding="utf-8")
        if running.proxy is not None:
            running.proxy.send_signal(signal.SIGHUP)


async def _afterwards(
    running: Fleet, pid: int, started: float, first: tuple[Vitals, dict[str, Any]], report: Report
) -> None:
    """The load is over: what is left of it?"""
    before, lived = first
    deadline = time.monotonic() + _AFTERWARDS_S
    while True:
        left = await vitals(running, pid, started)
        living = await inspected(running, pid)
        tasks = _more(lived["tasks"], living["tasks"])
        over = not left.requests and not left.attempts and left.descriptors <= before.descriptors and not tasks
        if over or time.monotonic() > deadline:
            break
        await asyncio.sleep(2)
    waited = left.at - (deadline - _AFTERWARDS_S - started)
    report.demand(
        "after",
        "no request and no permit is left",
        f"{left.requests}, {left.attempts}",
        not left.requests + left.attempts,
    )
    shown = f"{left.descriptors}, at the start {before.descriptors}"
    report.demand("after", "no descriptor is left", shown, left.descriptors <= before.descriptors)
    report.demand("after", "no task is left", tasks or "none", not tasks)
    memory = f"{left.pss / 2**20:.1f} MB, at the start {before.pss / 2**20:.1f} MB"
    report.note("after", f"{max(waited, 0):.0f} s after the last request; memory {memory}")


def _more(before: dict[str, int], now: dict[str, int]) -> str:
    """What there is more of, by how much."""
    more = {name: count - before.get(name, 0) for name, count in now.items() if count > before.get(name, 0)}
    return ", ".join(f"{name} +{count}" for name, count in sorted(more.items(), key=lambda item: -item[1])[:15])


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether anything grows or is left over.")
    parser.add_argument("--minutes", type=float, default=30, help="how long (default 30; 3 for a try)")
    parser.add_argument(
        "--workers", type=int, default=8, help="good clients at once, and as many rude ones (default 8)"
    )
    parser.add_argument("--traced", action="store_true", help="say where what is left was allocated; slow")
    asked = parser.parse_args()
    try:
        sys.exit(run(measure(asked.minutes, asked.workers, traced=asked.traced)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
