"""Two answers of a hundred are twenty times slower: what hedging makes of the tail, and what it costs."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from benchmarks.support.children import Pace, fleet
from benchmarks.support.figures import percentile
from benchmarks.support.follower import Follower
from benchmarks.support.load import Answer, Load
from benchmarks.support.table import Options, Report

FAULT = "slower:factor=20,probability=0.02"
PACE = Pace(first_token=0.03, pace=0.002, words=8, spread=0.3)
CHAIN = ["a/m", "b/m"]
ROUTES = {"plain": {"chain": CHAIN}, "hedged": {"chain": CHAIN, "hedge": {"after": "p95", "ratio": "5%"}}}
_MOST_WORKERS = 10
_SLOW_S = 0.4
"""Slower than any usual answer."""


class Tail(NamedTuple):
    """One route's figures; seconds."""

    p50: float
    p95: float
    p99: float
    extra: float
    """Attempts per request beyond the first."""
    hedges: int


async def measure(options: Options, report: Report) -> None:
    """The same load on a route without and on one with hedges; a fresh proxy each."""
    plain = await _run(report, "plain", options)
    hedged = await _run(report, "hedged", options)
    shown = f"{hedged.p99 * 1000:.0f} ms, {plain.p99 * 1000:.0f} ms"
    report.demand("tail", "p99 with hedges < half of that without", shown, hedged.p99 < plain.p99 / 2)
    report.demand("tail", "extra attempts <= 5 %", f"{hedged.extra:.2%}", hedged.extra <= 0.05)
    workers = min(options.workers, _MOST_WORKERS)
    report.note("tail", f"{FAULT} on a, {workers} clients, first token {PACE.first_token * 1000:.0f} ms with a spread")


async def _run(report: Report, route: str, options: Options) -> Tail:
    async with fleet({"routes": ROUTES}, PACE) as running, Follower(running.url) as follower:
        workers = min(options.workers, _MOST_WORKERS)
        async with Load(running.url, route, workers) as load:
            # Hedging needs to know first what is usual.
            await asyncio.sleep(options.seconds(4, 3))
            start = time.time()
            await running.inject("a", FAULT)
            await asyncio.sleep(options.seconds(60, 15))
            end = time.time()
        attempts = await running.counted("holdfast_attempts_total")
        hedges = int(await running.counted("holdfast_hedges_total"))
        refused = await running.counted("holdfast_budget_refusals_total")
    answers = load.between(start, end)
    took = [answer.took for answer in answers]
    slow = sum(one > _SLOW_S for one in took)
    bad = sum(not answer.good for answer in load.answers)
    moved = [f"{each['reason']} {each['at'] - start:.0f} s" for each in follower.named("TrendChanged")]
    report.note(
        "tail",
        f"{route}: {len(load.answers):,} requests ({bad} failed), {_by_mode(answers, stream=True)}, "
        f"{_by_mode(answers, stream=False)}; {slow / len(took):.2%} above {_SLOW_S * 1000:.0f} ms; {hedges} hedges, "
        f"{refused:.0f} refused by the budget; {sum(each.upstream == 'b' for each in answers)} answered by b; "
        f"trend: {', '.join(moved) or 'none'}",
    )
    return Tail(
        percentile(took, 0.5),
        percentile(took, 0.95),
        percentile(took, 0.99),
        attempts / len(load.answers) - 1,
        hedges,
    )


def _by_mode(answers: list[Answer], *, stream: bool) -> str:
    took = [answer.took * 1000 for answer in answers if answer.stream is stream]
    p50, p95, p99 = (percentile(took, share) for share in (0.5, 0.95, 0.99))
    return f"{'streams' if stream else 'JSON'} p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
