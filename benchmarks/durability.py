"""Measures over real sockets that nobody notices edits and restarts, and prints one table.

    .venv/bin/python -m benchmarks.durability [--quick] [--only NAME ...] [--workers 16] > table.md

Three processes or more: the simulated upstreams; `holdfast serve`, one after the other; and this one with the clients,
the official SDK without its retries. Exit code 1 if a demand is missed. See benchmarks/README.md.
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

from benchmarks.scenarios import edits, restarts
from benchmarks.support.table import Options, Report
from proxy.cli.loop import run

SCENARIOS: dict[str, Callable[[Options, Report], Awaitable[None]]] = {
    "edits": edits.measure,
    "restarts": restarts.measure_restarts,
    "crashes": restarts.measure_crashes,
}


async def measure(names: list[str], options: Options) -> int:
    """One scenario after the other; 1 if a demand is missed."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    report = Report()
    for name in names:
        try:
            await SCENARIOS[name](options, report)
        except (OSError, RuntimeError, TimeoutError, ValueError, KeyError) as error:
            report.demand(name, "runs to its end", f"{type(error).__name__}: {error}"[:2000], False)
    day = time.strftime("%Y-%m-%d") + (", quick" if options.quick else "")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    python = platform.python_version()
    print(f"{day}, {os.cpu_count()} virtual cores, load {load}, Python {python}, {options.workers} clients.")
    print(f"\n{report.markdown()}")
    return 0 if report.good else 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether anybody notices edits and restarts.")
    parser.add_argument("--quick", action="store_true", help="fewer edits and restarts: to see that it works")
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--workers", type=int, default=16, help="clients at once (default 16)")
    asked = parser.parse_args()
    options = Options(quick=asked.quick, workers=asked.workers)
    try:
        sys.exit(run(measure(asked.only or list(SCENARIOS), options)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
