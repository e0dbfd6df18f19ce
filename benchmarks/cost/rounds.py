"""Measuring: every proxy once in each round, in turn, and what a round gives."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.cost.ends import Clients, LoadFailed, Provider
from benchmarks.cost.figures import Round, add_latency
from benchmarks.cost.machine import Cores, stolen
from benchmarks.cost.running import Running
from benchmarks.cost.scenarios import Scenario

_WARM_UP_S = 0.5
_WARM_UP_CHUNKS = 20
_SETTLE_S = 1.0


def measure(
    scenario: Scenario, running: Sequence[Running], provider: Provider, cores: Cores, rounds: int, seconds: float
) -> dict[str, list[Round]]:
    """What each proxy gave in each round, by its name."""
    given: dict[str, list[Round]] = {each.name: [] for each in running}
    for number in range(1 if scenario.memory else 0, rounds + 1):
        # Who goes first changes, so that nobody always runs in the same neighbour's shadow.
        turned = [*running[number % len(running) :], *running[: number % len(running)]]
        if number == 0:
            warm_up = replace(
                scenario, job={**scenario.job, "chunks": min(scenario.chunks, _WARM_UP_CHUNKS), "ramp": 0}
            )
            for each in turned:
                _round(warm_up, each, provider, cores, _WARM_UP_S)
        else:
            told = {each.name: _round(scenario, each, provider, cores, seconds) for each in turned}
            for name, mine in told.items():
                given[name].append(add_latency(mine, told.get("direct")))
            print(f"  round {number} of {rounds}", file=sys.stderr, flush=True)
    return given


def _round(scenario: Scenario, proxy: Running, provider: Provider, cores: Cores, seconds: float) -> Round:
    clients = Clients(cores, proxy.ways[scenario.way], scenario.job, seconds)
    try:
        told = _held(scenario, proxy, clients) if scenario.memory else _asked(scenario, proxy, provider, clients)
        if not proxy.died:
            return told
        why = "it ended by itself"
    except LoadFailed as failed:
        why = str(failed)
    print(f"  {proxy.name}: {why}; it is started again", file=sys.stderr, flush=True)
    proxy.restart()
    return {"errors": 1}


def _asked(scenario: Scenario, proxy: Running, provider: Provider, clients: Clients) -> Round:
    first = provider.asked_first(scenario.way)
    mock, steal, before = provider.cpu_s(), stolen(), proxy.cpu()
    told = clients.run()
    used, taken = proxy.cpu().since(before), stolen().share_since(steal)
    units, wall = max(1, told[scenario.unit]), max(1e-9, told["wall"])
    # A tick is coarse; the scheduler's count is not: it is shared out as the ticks were.
    system = used.system / ((used.user + used.system) or 1)
    return {
        "cpu": used.total / units * 1e6 if used.total else None,
        "user": used.total * (1 - system) / units * 1e6,
        "system": used.total * system / units * 1e6,
        "p50": told["p50"],
        "p99": told["p99"],
        "rate": told[scenario.unit] / wall,
        "busy": used.total / wall / len(clients.cores.proxies),
        "ends_busy": (provider.cpu_s() - mock + told["cpu"]) / wall,
        "steal": taken,
        "errors": told["errors"],
        "answers": told["answers"],
        "failed_over": _share(first, provider.asked_first(scenario.way), told) if proxy.name != "direct" else None,
    }


def _share(before: int | None, after: int | None, told: dict[str, int]) -> float | None:
    """How many of the answers came by way of the upstream that fails."""
    if before is None or after is None:
        return None
    return (after - before) / max(1, told["answers"] + told["errors"])


def _held(scenario: Scenario, proxy: Running, clients: Clients) -> Round:
    """What grows while all of it is held, in KiB for each: of a process that nobody has stretched before."""
    proxy.restart()
    # The first streams and answers bring in code and buffers that stay, whatever comes.
    few = Clients(clients.cores, clients.way, {**clients.job, "connections": 8, "hold": False, "chunks": 0}, 0.3)
    few.run()
    if scenario.chunks:
        Clients(clients.cores, clients.way, {"connections": 8, "chunks": 5, "pace": 0.01}, 0.3).run()
    steal, base = stolen(), proxy.memory()
    grown = {}

    def weigh() -> None:
        now = proxy.memory()
        grown["pss"] = (now.pss - base.pss) / clients.job["connections"]
        grown["rss"] = (now.rss - base.rss) / clients.job["connections"]

    told = clients.hold(_SETTLE_S, weigh)
    return {
        **grown,
        "base_pss": base.pss / 1024,
        "started": proxy.started_s,
        "errors": told["errors"],
        "steal": stolen().share_since(steal),
    }
