"""What one request and one streamed chunk cost: CPU time of each proxy's processes, as a multiple of nginx's.

    python -m benchmarks.cost [--install] [--rounds 5] [--scenarios json,busy] [--against TREE] [--peers nginx]

Every scenario runs in rounds, in each of them every proxy once, in turn; medians are told. The proxies run on one core,
the mock provider and the clients on another, where the machine has two. CPU time is what the scheduler counts for the
process and its children, in nanoseconds; the figures of one run compare with each other, and with no others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cost import peers
from benchmarks.cost.peers import ROOT, Peer, Ports


@dataclass(frozen=True)
class Scenario:
    """One kind of load; `unit` is what its CPU time is divided by, `way` how the answer is come by."""

    title: str
    job: dict[str, Any]
    unit: str = "answers"
    way: str = "straight"


SCENARIOS = {
    "json": Scenario("JSON, 1 KB answers, 64 connections", {"connections": 64}),
    "one": Scenario("the same, one connection", {"connections": 1}),
    "100k": Scenario("100 KB prompts, 8 connections", {"connections": 8, "prompt": 100_000}),
    "1m": Scenario("1 MB prompts, 4 connections", {"connections": 4, "prompt": 1_000_000}),
    "paced": Scenario(
        "streams, 2,000 chunks/s (20 streams)", {"connections": 20, "chunks": 100, "pace": 0.01}, "events"
    ),
    "busy": Scenario(
        "streams, 10,000 chunks/s (100 streams)", {"connections": 100, "chunks": 200, "pace": 0.01}, "events"
    ),
    "flood": Scenario("streams as fast as can be (16 streams of 200)", {"connections": 16, "chunks": 200}, "events"),
    "503": Scenario("failover after a 503, 16 connections", {"connections": 16}, way="503"),
    "refused": Scenario("failover after a refused connection, 16 connections", {"connections": 16}, way="refused"),
}


@dataclass
class Figures:
    """What was measured of one proxy in one scenario, one entry for each round. Microseconds."""

    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    errors: int = 0


def main() -> None:
    options = _options()
    if options.install:
        peers.install()
    with tempfile.TemporaryDirectory(prefix="holdfast-cost-") as folder, contextlib.ExitStack() as stack:
        ends, proxies = _cores()
        good, broken = _free(2)
        stack.enter_context(_running([*ends, sys.executable, "-m", "benchmarks.cost.mock", str(good), str(broken)]))
        running = list(_started(Path(folder), good, broken, proxies, options))
        for peer in running:
            stack.callback(peer.stop)
            _wait_for(peer)
        print(_conditions(options))
        for name in options.scenarios.split(","):
            _measure(SCENARIOS[name], running, ends, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What one request and one streamed chunk cost.")
    parser.add_argument("--install", action="store_true", help="install nginx and HAProxy first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--peers", default="nginx,haproxy", help="which others; empty for none")
    parser.add_argument("--against", help="another tree of this project to be measured in the same rounds")
    return parser.parse_args()


def _started(folder: Path, good: int, broken: int, pin: list[str], options: argparse.Namespace) -> Iterator[Peer]:
    def place(name: str) -> tuple[Path, Ports]:
        (folder / name).mkdir()
        return folder / name, Ports(good, broken, _free(1)[0], _three())

    for name in filter(None, options.peers.split(",")):
        peer = {"nginx": peers.nginx, "haproxy": peers.haproxy}[name](*place(name), pin)
        if peer is not None:
            yield peer
    if options.against:
        yield peers.holdfast(*place("before"), pin, Path(options.against).resolve(), "before")
    yield peers.holdfast(*place("holdfast"), pin)


def _measure(scenario: Scenario, running: list[Peer], ends: list[str], options: argparse.Namespace) -> None:
    figures = {peer.name: Figures() for peer in running}
    for number in range(options.rounds + 1):
        # Who goes first changes, so that nobody always runs in the same neighbour's shadow.
        for peer in running[number % len(running) :] + running[: number % len(running)]:
            told = _round(scenario, peer, ends, options.seconds if number else 0.5)
            if number:
                mine = figures[peer.name]
                mine.cpu.append(told["cpu"])
                mine.p50.append(told["delay_p50"] if scenario.unit == "events" else told["took_p50"])
                mine.p99.append(told["delay_p99"] if scenario.unit == "events" else told["took_p99"])
                mine.errors += told["errors"]
    base = statistics.median(figures[running[0].name].cpu)
    per = "chunk" if scenario.unit == "events" else "request"
    print(f"\n### {scenario.title}\n")
    print(f"| proxy | x {running[0].name} | CPU us/{per} | best - worst | p50 us | p99 us | errors |")
    print("|---|---|---|---|---|---|---|")
    for name, mine in figures.items():
        cpu = statistics.median(mine.cpu)
        print(
            f"| {name} | {cpu / base:.2f} | {cpu:.1f} | {min(mine.cpu):.1f} - {max(mine.cpu):.1f} "
            f"| {statistics.median(mine.p50):,.0f} | {statistics.median(mine.p99):,.0f} | {mine.errors} |",
            flush=True,
        )


def _round(scenario: Scenario, peer: Peer, ends: list[str], seconds: float) -> dict[str, Any]:
    port, model = peer.ways[scenario.way]
    job = {**scenario.job, "port": port, "model": model, "seconds": seconds}
    before = cpu_of(peer.process.pid)
    done = subprocess.run(
        [*ends, sys.executable, "-m", "benchmarks.cost.load", json.dumps(job)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
        timeout=seconds + 60,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    used = cpu_of(peer.process.pid) - before
    return {**told, "cpu": used / max(1, told[scenario.unit]) * 1e6}


def cpu_of(pid: int) -> float:
    """Seconds of CPU time of a process and all below it, by the scheduler's own count."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e9
        for child in (task / "children").read_text().split():
            total += cpu_of(int(child))
    return total


def _cores() -> tuple[list[str], list[str]]:
    """What to put before commands: the ends on one core, the proxies on another."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return [], []
    return ["taskset", "-c", str(allowed[1])], ["taskset", "-c", str(allowed[0])]


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(peer: Peer) -> None:
    """Until it answers; breakers are then held closed, since nginx has none while every request fails over."""
    port, model = peer.ways["straight"]
    body = json.dumps({"model": model, "messages": []}).encode()
    for _ in range(100):
        try:
            _post(port, "/v1/chat/completions", body)
            break
        except OSError:
            time.sleep(0.1)
    else:
        raise SystemExit(f"{peer.name} does not answer")
    for upstream in ("broken", "gone") if model == "chat" and peer.name not in {"nginx", "haproxy"} else ():
        _post(port, f"/admin/v1/deployments/{upstream}/m/close", b"{}")


def _post(port: int, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        reply.read()


def _free(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _three() -> int:
    """The first of three free ports in a row."""
    while True:
        (first,) = _free(1)
        try:
            for port in range(first, first + 3):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


def _conditions(options: argparse.Namespace) -> str:
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, Python {sys.version.split()[0]}"
    return f"{time.strftime('%Y-%m-%d')}: {machine}; medians of {options.rounds} rounds of {options.seconds:g} s"


if __name__ == "__main__":
    main()
