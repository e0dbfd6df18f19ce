"""The first of three is down for five seconds and up for five: nobody may notice."""

from __future__ import annotations

import asyncio
import time

from benchmarks.scenarios.random_faults import config
from benchmarks.support.children import fleet
from benchmarks.support.figures import percentile
from benchmarks.support.follower import Follower
from benchmarks.support.load import Load
from benchmarks.support.table import Options, Report

FAULT = "flapping:inner=503,broken=5,healthy=5"


async def measure(options: Options, report: Report) -> None:
    """With the breakers of `random`."""
    async with (
        fleet(config("sequential")) as running,
        Follower(running.url) as follower,
        Load(running.url, "chat", options.workers) as load,
    ):
        await asyncio.sleep(2)
        start = time.time()
        await running.inject("a", FAULT)
        await asyncio.sleep(options.seconds(40, 15))
    bad = [answer for answer in load.answers if not answer.good]
    report.demand("flapping", "no client failure", f"{len(bad)} of {len(load.answers):,}", not bad)
    for answer in bad[:3]:
        report.note("flapping", f"failure {answer.status} at {answer.began - start:+.1f} s: {answer.problem}")
    during = [answer for answer in load.answers if answer.began >= start]
    attempts = follower.named("AttemptEnded", "a/m")
    failed = sum(each["outcome"] != "ok" for each in attempts if each["at"] >= start)
    openings = sum(each["target"] == "open" for each in follower.named("BreakerChanged", "a/m"))
    by_a = sum(answer.upstream == "a" for answer in during) / len(during)
    took = [answer.took for answer in during]
    report.note(
        "flapping",
        f"{FAULT}: {failed} failed attempts, {openings} openings, {by_a:.0%} answered by a, "
        f"p50 {percentile(took, 0.5) * 1000:.1f} ms, p99 {percentile(took, 0.99) * 1000:.0f} ms",
    )
