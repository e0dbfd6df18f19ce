"""Where Holdfast's CPU time goes in one scenario: what `--profile` prints."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cost.ends import Clients, Provider
from benchmarks.cost.machine import Cores
from benchmarks.cost.peers import HOLDFAST
from benchmarks.cost.peers.holdfast import under_profile
from benchmarks.cost.peers.peer import WAYS, Peer, Place
from benchmarks.cost.running import Running, free_row
from benchmarks.cost.scenarios import SCENARIOS, Scenario

_ROWS = 40
_WARM_UP_S = 1.0


def run(options: argparse.Namespace) -> None:
    """Measure once without a profiler, for the true figures, and once with it, for their parts."""
    scenario = SCENARIOS[options.profile]
    if scenario.memory:
        raise SystemExit(f"{options.profile} measures memory; there is no CPU time to be divided")
    with tempfile.TemporaryDirectory(prefix="holdfast-cost-") as folder:
        output = Path(folder) / "functions.json"
        plain = _cost(scenario, HOLDFAST, Path(folder) / "plain", options, None)
        watched = _cost(scenario, under_profile(options.profiler, output), Path(folder) / "watched", options, output)
        functions = json.loads(output.read_text())
    per = "chunk" if scenario.unit == "events" else "request"
    print(f"### {scenario.title}: {options.seconds:g} s\n")
    for name, told in (("without", plain), ("with", watched)):
        print(
            f"- {name} a profiler {told['cpu']:.1f} us of CPU per {per}: {told['user']:.1f} user, {told['system']:.1f} "
            f"system; {told['units']:,} {per}s, {told['errors']} errors"
        )
    print(f"\n| own, us/{per} | own | with what it calls | calls/{per} | function |\n|---|---|---|---|---|")
    for each in sorted(functions, key=lambda each: each["own"], reverse=True)[:_ROWS]:
        calls = "-" if each["calls"] is None else f"{each['calls'] / watched['units']:.2f}"
        print(
            f"| {each['own'] * plain['cpu']:.2f} | {each['own']:.1%} | {each['whole']:.1%} | {calls} "
            f"| `{each['function']}` |"
        )


def _cost(scenario: Scenario, peer: Peer, folder: Path, options: argparse.Namespace, output: Path | None) -> Any:
    cores = Cores.shared_out(1)
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        provider = Provider(cores)
        stack.callback(provider.stop)
        proxy = Running(peer, Place(folder, provider.ends, free_row(len(WAYS)), 1, options.installed), cores)
        stack.callback(proxy.stop)
        proxy.start()
        way = proxy.ways[scenario.way]
        Clients(cores, way, scenario.job, _WARM_UP_S).run()
        if output is not None:
            os.kill(proxy.pid, signal.SIGUSR1)
        before = proxy.cpu()
        told = Clients(cores, way, scenario.job, options.seconds).run()
        used = proxy.cpu().since(before)
        if output is not None:
            os.kill(proxy.pid, signal.SIGUSR2)
            _wait_for(output)
    units = max(1, told[scenario.unit])
    system = used.system / ((used.user + used.system) or 1)
    return {
        "cpu": used.total / units * 1e6,
        "user": used.total * (1 - system) / units * 1e6,
        "system": used.total * system / units * 1e6,
        "units": units,
        "errors": told["errors"],
    }


def _wait_for(output: Path) -> None:
    for _ in range(500):
        if output.exists():
            return
        time.sleep(0.02)
    raise SystemExit("the profiler has written nothing")
