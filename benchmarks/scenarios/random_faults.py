"""The first of three fails at random half of the time, then heals: what clients notice, and how it comes back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import NamedTuple

from benchmarks.support.children import Fleet, fleet
from benchmarks.support.figures import Timeline, back_after, begun, percentile
from benchmarks.support.follower import Event, Follower
from benchmarks.support.load import Answer, Load, retries
from benchmarks.support.table import Options, Report

PROBES, CLOSE_AFTER = 2, 2
BREAKER = {
    "consecutive": 5,
    "error_rate": "40%",
    "minimum_requests": 10,
    "window": "10s",
    "open_for": "4s",
    "max_open_for": "12s",
    "probes": PROBES,
    "close_after": CLOSE_AFTER,
}
RECOVERY = {"ramp": "8s", "stable": "10s"}
DEFAULTS = {"breaker": BREAKER, "recovery": RECOVERY}
SETTINGS = ", ".join(f"{key}: {value}" for part in (BREAKER, RECOVERY) for key, value in part.items())
FAULT = "503:probability=0.5"
_BACK_WITHIN_S = 30.0
_WINDOW_S = 3.0


class Phases(NamedTuple):
    """When what began; wall clock."""

    healthy: float
    faulty: float
    healed: float
    end: float


def config(strategy: str) -> dict[str, object]:
    """The routes: three equals in a chain, or the first with half of the draws."""
    if strategy == "weighted":
        chain: list[object] = [{"to": "a/m", "weight": 2}, "b/m", "c/m"]
        return {"defaults": DEFAULTS, "routes": {"chat": {"strategy": strategy, "chain": chain}}}
    return {"defaults": DEFAULTS, "routes": {"chat": {"chain": ["a/m", "b/m", "c/m"]}}}


async def measure(options: Options, report: Report) -> None:
    """Both strategies, one after the other."""
    for strategy, usual in (("sequential", 1.0), ("weighted", 0.5)):
        name = "random" if strategy == "sequential" else f"random, {strategy}"
        async with fleet(config(strategy)) as running, Follower(running.url) as follower:
            load, phases = await _run(running, options)
            received = (await running.received())["a"]
        _judge_clients(report, name, load, phases)
        _judge_probes(report, name, follower, received)
        _judge_return(report, name, load, phases, usual)
        _tell(report, name, load, follower, phases)
    report.note("random", f"settings: {SETTINGS}; {options.workers} clients; fault {FAULT}")


async def _run(running: Fleet, options: Options) -> tuple[Load, Phases]:
    async with Load(running.url, "chat", options.workers) as load:
        await asyncio.sleep(options.seconds(3, 2))
        healthy = time.time()
        await asyncio.sleep(options.seconds(15, 6))
        faulty = time.time()
        await running.inject("a", FAULT)
        await asyncio.sleep(options.seconds(60, 25))
        healed = time.time()
        await running.inject("a", None)
        await asyncio.sleep(options.seconds(45, 36))
        end = time.time()
    return load, Phases(healthy, faulty, healed, end)


def _judge_clients(report: Report, name: str, load: Load, phases: Phases) -> None:
    bad = [answer for answer in load.answers if not answer.good]
    report.demand(name, "no client failure", f"{len(bad)} of {len(load.answers):,}", not bad)
    for answer in bad[:3]:
        report.note(name, f"failure {answer.status} at {answer.began - phases.faulty:+.1f} s: {answer.problem}")
    before, during = (
        load.between(phases.healthy, phases.faulty),
        load.between(phases.faulty, phases.healed),
    )
    p50 = [percentile((answer.took for answer in answers), 0.5) * 1000 for answers in (before, during)]
    report.demand(
        name, "p50 during the fault within 10 % of healthy", f"{p50[1]:.1f} ms, {p50[0]:.1f} ms", p50[1] <= 1.1 * p50[0]
    )
    rates = [
        load.finished(start, end) / (end - start)
        for start, end in ((phases.healthy, phases.faulty), (phases.faulty, phases.healed))
    ]
    share = rates[1] / rates[0] if rates[0] else 0.0
    report.demand(
        name, "throughput during the fault > 90 %", f"{share:.1%} ({rates[1]:.0f} of {rates[0]:.0f}/s)", share > 0.9
    )


def _judge_probes(report: Report, name: str, follower: Follower, received: int) -> None:
    timeline = Timeline(follower.named("BreakerChanged", "a/m"))
    attempts, prompts = follower.named("AttemptEnded", "a/m"), follower.named("ProbeEnded", "a/m")
    by_state = begun(timeline, [*attempts, *prompts])
    periods = timeline.entered("half_open")
    allowed = periods * max(PROBES, CLOSE_AFTER)
    made = by_state.half_open + by_state.open
    measured = f"{made} ({by_state.open} while open) for {periods} half-open periods that allow {allowed}"
    report.demand(name, "attempts on a breaker not closed <= 1.2 x probes", measured, made <= 1.2 * allowed)
    for each in [*attempts, *prompts]:
        at = each["at"] - each["duration"]
        if timeline.state(at) == "open":
            away = timeline.nearest(at)
            report.note(name, f"while open: {each['event']} {each['outcome']}, {each['duration']:.3f} s, {away}")
    if received != len(attempts) + len(prompts):
        told = f"a received {received} requests, {len(attempts)} attempts and {len(prompts)} test prompts were told of"
        report.note(name, told)


def _judge_return(report: Report, name: str, load: Load, phases: Phases, usual: float) -> None:
    moments = [(answer.began, answer.upstream == "a") for answer in load.answers if answer.good]
    took = back_after(moments, phases.healed, 0.95 * usual, _WINDOW_S)
    late = load.between(phases.healed + _BACK_WITHIN_S, phases.end)
    share = sum(answer.upstream == "a" for answer in late) / len(late) if late else 0.0
    measured = f"{'never' if took is None else f'{took:.1f} s'}; {share:.1%} of all after 30 s"
    good = took is not None and took <= _BACK_WITHIN_S and share >= 0.95 * usual
    report.demand(name, f"a has >= 95 % of its {usual:.0%} within 30 s of healing", measured, good)


def _tell(report: Report, name: str, load: Load, follower: Follower, phases: Phases) -> None:
    """What has to be known to judge the figures, and to find out why one is missed."""
    during = load.between(phases.faulty, phases.healed)
    changes = follower.named("BreakerChanged", "a/m")
    openings = [change for change in changes if change["target"] == "open"]
    attempts = _within(follower.named("AttemptEnded", "a/m"), phases)
    answered = sum(each["outcome"] == "ok" for each in attempts)
    took = [each.took * 1000 for each in during]
    ejected = _counted(follower.named("Ejected"), "deployment")
    report.note(
        name,
        f"during the fault {len(attempts)} attempts on a ({answered} answered) and "
        f"{sum(retries(each.trail) for each in during)} retries in {len(during):,} requests, p99 "
        f"{percentile(took, 0.99):.0f} ms, max {max(took, default=0):.0f} ms; {len(openings)} openings of its breaker "
        f"in all ({_counted(openings, 'cause')}); ejected: {ejected or 'none'}; changes of other breakers: "
        f"{len(follower.named('BreakerChanged')) - len(changes)}",
    )
    steps = [f"{each['at'] - phases.faulty:.1f} {each['target']} ({_why(each)})" for each in changes]
    report.note(name, f"breaker of a, seconds after the fault: {'; '.join(steps)}")
    returned = [f"{each['event']} {each['at'] - phases.healed:+.1f} s" for each in _after(follower, phases.healed)]
    healed = f"healed after {phases.healed - phases.faulty:.1f} s; then {', '.join(returned)}"
    report.note(name, f"{healed}; share of a in each 2 s: {_shares(load.answers, phases)}")


def _why(change: Event) -> str:
    return change["cause"] + (f", {change['duration']:.1f} s" if change["duration"] else "")


def _within(events: list[Event], phases: Phases) -> list[Event]:
    return [event for event in events if phases.faulty <= event["at"] - event["duration"] < phases.healed]


def _after(follower: Follower, healed: float) -> list[Event]:
    kinds = {"Ejected", "TrendChanged", "RampStarted", "Recovered", "ProbeEnded"}
    return [each for each in follower.events if each["at"] >= healed and each["event"] in kinds]


def _counted(events: list[Event], member: str) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(each[member] for each in events).items())


def _shares(answers: list[Answer], phases: Phases, step: int = 2) -> str:
    seen: dict[int, list[bool]] = {}
    for answer in answers:
        if answer.good and phases.healed <= answer.began < phases.end:
            seen.setdefault(int((answer.began - phases.healed) / step), []).append(answer.upstream == "a")
    return " ".join(f"{sum(each) / len(each):.0%}" for _, each in sorted(seen.items()))
