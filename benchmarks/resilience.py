"""Measures over real sockets what breakers, hedges and recovery are worth, and prints one table.

    .venv/bin/python benchmarks/resilience.py [--quick] [--only NAME ...] [--workers 20] > table.md

Three processes: the simulated upstreams a, b and c, all of equal pace; `holdfast serve`; and this one with the clients
and a follower of the proxy's events. Exit code 1 if a demand is missed. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import breaker_cost
from benchmarks.scenarios import all_down, flapping, kill, random_faults, tail
from benchmarks.support.table import Options, Report
from proxy.cli.loop import run

SCENARIOS: dict[str, Callable[[Options, Report], Awaitable[None]]] = {
    "random": random_faults.measure,
    "all_down": all_down.measure,
    "flapping": flapping.measure,
    "tail": tail.measure,
    "kill": kill.measure,
    "cost": breaker_cost.measure,
}


async def measure(names: list[str], options: Options) -> int:
    """One scenario after the other; 1 if a demand is missed."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    report = Report()
    for name in names:
        started = time.monotonic(), _stolen()
        try:
            await SCENARIOS[name](options, report)
        except (OSError, RuntimeError, TimeoutError, ValueError, KeyError) as error:
            report.demand(name, "runs to its end", f"{type(error).__name__}: {error}"[:300], False)
        stolen = (_stolen() - started[1]) / max(time.monotonic() - started[0], 0.01)
        if stolen > 0.02:
            report.note(name, f"others took {stolen:.0%} of a core from this machine meanwhile")
    print(_conditions(options), report.markdown(), sep="\n\n")
    return 0 if report.good else 1


def _conditions(options: Options) -> str:
    day = time.strftime("%Y-%m-%d") + (", quick" if options.quick else "")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    python = platform.python_version()
    return f"{day}, {os.cpu_count()} virtual cores, load {load}, Python {python}, {options.workers} clients."


def _stolen() -> float:
    """Seconds that the hypervisor gave to others, over all cores; 0 where the system does not tell."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="What breakers, hedges and recovery are worth.")
    parser.add_argument("--quick", action="store_true", help="short phases: to see that it works")
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--workers", type=int, default=20, help="clients at once (default 20)")
    asked = parser.parse_args()
    options = Options(quick=asked.quick, workers=asked.workers)
    try:
        sys.exit(run(measure(asked.only or list(SCENARIOS), options)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
