"""Everybody is down: how little is tried, and what clients are told and how soon."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from math import inf, isfinite
from typing import NamedTuple

from benchmarks.support.children import NAMES, Fleet, fleet
from benchmarks.support.figures import percentile
from benchmarks.support.follower import Follower
from benchmarks.support.load import Answer, Load
from benchmarks.support.table import Options, Report

CHAIN = ["a/m", "b/m", "c/m"]
ROUTES = {"plain": {"chain": CHAIN}, "resort": {"chain": CHAIN, "last_resort": {"text": "All models are busy."}}}
_THINK_S = 0.05
_POLL_S = 0.1
_SETTLED_S = 1.0
"""After so much of the outage answers must be quick."""
_SLACK_S = 0.05


class Seen(NamedTuple):
    """What /health said: the seconds until the first deployment may be tried."""

    at: float
    left: float


async def measure(options: Options, report: Report) -> None:
    """Both kinds of failure, with and without a last resort; a fresh proxy each."""
    for fault in ("503", "refuse"):
        for route in ROUTES:
            name = f"all_down, {fault}, {'last resort' if route == 'resort' else 'no last resort'}"
            async with fleet({"routes": ROUTES}) as running, Follower(running.url, ("BreakerChanged",)) as follower:
                for upstream in NAMES:
                    await running.inject(upstream, fault)
                load, seen = await _run(running, route, options)
                attempts = await running.counted("holdfast_attempts_total")
                prompts = await running.counted("holdfast_probes_total")
                received = sum((await running.received()).values())
            _judge_attempts(report, name, load.answers, max(attempts + prompts, received))
            _judge_words(report, name, load.answers, seen, _opened(follower))
            _judge_times(report, name, load.answers)
    report.note(
        "all_down", f"built-in settings; {options.workers} clients that wait {_THINK_S * 1000:.0f} ms in between"
    )


async def _run(running: Fleet, route: str, options: Options) -> tuple[Load, list[Seen]]:
    seen: list[Seen] = []
    polling = asyncio.create_task(_poll(running, route, seen), name="poll /health")
    try:
        async with Load(running.url, route, options.workers, think=_THINK_S) as load:
            await asyncio.sleep(options.seconds(15, 5))
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    return load, seen


async def _poll(running: Fleet, route: str, seen: list[Seen]) -> None:
    while True:
        routes = (await running.get("/health"))["routes"]
        shown = next(each for each in routes if each["route"] == route)
        left = [each["usable_in_s"] for each in shown["deployments"] if each.get("usable_in_s") is not None]
        # The moment after the reply: what it says was true a little before.
        seen.append(Seen(time.time(), min(left, default=0.0)))
        await asyncio.sleep(_POLL_S)


def _opened(follower: Follower) -> float:
    """When the last of the three breakers opened for the first time."""
    opened: dict[str, float] = {}
    for change in follower.named("BreakerChanged"):
        if change["target"] == "open":
            opened.setdefault(change["deployment"], change["at"])
    return max(opened.values()) if len(opened) == len(NAMES) else inf


def _judge_attempts(report: Report, name: str, answers: list[Answer], attempts: float) -> None:
    share = attempts / len(answers)
    measured = f"{share:.2f} ({attempts:.0f} for {len(answers):,} requests)"
    report.demand(name, "attempts <= 1.2 x requests", measured, share <= 1.2)


def _judge_words(report: Report, name: str, answers: list[Answer], seen: list[Seen], opened: float) -> None:
    """Who was answered before the breakers were open may have tried everybody: that is a 502, by the book."""
    early = [answer for answer in answers if answer.ended <= opened + _SLACK_S]
    wrong = [(answer, problem) for answer in answers if (problem := _wrong(answer, seen))]
    tried = [answer for answer, _ in wrong if answer in early and answer.status == 502]
    bad = [(answer, problem) for answer, problem in wrong if answer not in tried]
    shown = "; ".join(f"{count} x {problem}" for problem, count in Counter(each for _, each in bad).most_common(4))
    before = f"; before the breakers were open {len(tried)} x 502" if tried else ""
    report.demand(name, "last resort, or 503 with a right Retry-After", (shown or "all") + before, not bad)
    start = min(answer.began for answer in answers)
    report.note(name, f"all breakers open {opened - start:.2f} s after the first request; {len(early)} answers before")
    for answer, problem in bad[:3]:
        told = (
            f"at {answer.began - start:.3f} s for {answer.took * 1000:.0f} ms, trail `{answer.trail}`: {answer.problem}"
        )
        report.note(name, f"{problem}: {told}")


def _judge_times(report: Report, name: str, answers: list[Answer]) -> None:
    start = min(answer.began for answer in answers)
    late = [answer for answer in answers if answer.began >= start + _SETTLED_S]
    p99 = percentile((answer.took for answer in late), 0.99) * 1000
    report.demand(name, "p99 after the first second <= 50 ms", f"{p99:.1f} ms", p99 <= 50)
    first = max((answer.took for answer in answers if answer.began < start + _SETTLED_S), default=0.0)
    told = Counter(f"{answer.status} {answer.degraded}".strip() for answer in answers)
    report.note(name, f"answers: {dict(told)}; longest answer to a request of the first second {first:.2f} s")
    for answer in sorted(late, key=lambda answer: -answer.took)[:2]:
        at = f"at {answer.began - start:.2f} s: {answer.took * 1000:.0f} ms"
        report.note(name, f"longest after it, {at}, trail `{answer.trail}`, {answer.problem[:200]}")


def _wrong(answer: Answer, seen: list[Seen]) -> str:
    """What is wrong with an answer; nothing for one as it should be."""
    if answer.good and answer.degraded.startswith("reason=last_resort"):
        return ""
    if answer.status != 503:
        return f"status {answer.status}"
    try:
        told = float(answer.retry_after)
    except ValueError:
        return f"503 with Retry-After {answer.retry_after!r}"
    if not isfinite(told) or told <= 0:
        return f"503 with Retry-After {told}"
    left = _left(answer, seen)
    return f"Retry-After {told:.0f}, /health {left:.1f}" if told > left + 1 else ""


def _left(answer: Answer, seen: list[Seen]) -> float:
    """The most that /health said around an answer: just before, meanwhile, just after."""
    first = bisect_left(seen, answer.began, key=lambda each: each.at) - 1
    last = bisect_right(seen, answer.ended, key=lambda each: each.at) + 1
    return max((each.left for each in seen[max(0, first) : last]), default=0.0)
