"""The proxy is killed with -9 under load and started again: what kept requests away must still do so, as long."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from benchmarks.support.children import Fleet, fleet
from benchmarks.support.load import Load
from benchmarks.support.table import Options, Report

CONFIG = {
    "defaults": {"breaker": {"consecutive": 3, "open_for": "5m"}},
    "routes": {"chat": {"chain": ["a/m", "b/m", "c/m", "c/spare"]}},
}
_TIMES = 3
_AFTER_S = (0.3, 1.0, 2.5)
"""Seconds from the moment that a hold is seen to the kill."""
_DOWN_S = (0.0, 2.0, 4.0)
_MOST_OFF_S = 3.0


class Held(NamedTuple):
    """What keeps the three away, with the seconds that are left; None where nothing does."""

    at: float
    breaker: float | None
    rest: float | None
    drain: float | None


async def measure(options: Options, report: Report) -> None:
    """A breaker that is open, a rate limit, an operator's drain; three kills."""
    async with fleet(CONFIG) as running:
        await running.inject("a", "503")
        await running.inject("b", "429:retry_after=600")
        async with Load(running.url, "chat", min(options.workers, 5), think=0.02) as load:
            await _until_held(running)
            await running.post("/admin/v1/deployments/c/m/drain", {"for": "10m", "reason": "benchmark"})
            received = await running.received()
            ready: list[tuple[float, float]] = []
            for number in range(_TIMES):
                await asyncio.sleep(_AFTER_S[number])
                before = await _held(running)
                killed = time.time()
                await running.kill_proxy()
                await asyncio.sleep(_DOWN_S[number])
                await running.start_proxy()
                ready.append((killed, time.time()))
                _judge(report, number + 1, before, await _held(running))
            await asyncio.sleep(2)
            asked = {name: count - received[name] for name, count in (await running.received()).items()}
    report.demand(
        "kill", "the two that are held are not asked", f"a {asked['a']}, b {asked['b']}", asked["a"] + asked["b"] == 0
    )
    bad = [answer for answer in load.answers if not answer.good]
    meanwhile = [each for each in bad if any(each.began < up and each.ended > killed for killed, up in ready)]
    shown = f"{len(bad) - len(meanwhile)} of {len(load.answers):,}"
    report.demand("kill", "no client failure while the proxy runs", shown, len(bad) == len(meanwhile))
    outages = ", ".join(f"{up - killed:.1f} s" for killed, up in ready)
    report.note(
        "kill",
        f"from kill -9 to the first answer: {outages}; {len(meanwhile)} requests failed in these. The wall clock is "
        "not changed here; tests/stores/test_uptime.py does that with a fake one",
    )


async def _until_held(running: Fleet) -> None:
    async with asyncio.timeout(15):
        while (held := await _held(running)).breaker is None or held.rest is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def _held(running: Fleet) -> Held:
    at = time.time()
    told = {each["deployment"]: each for each in (await running.get("/admin/v1/deployments"))["deployments"]}
    breakers = told["a/m"]["breakers"]
    left = [each["open_for_s"] for each in breakers if each["state"] == "open"]
    drain = told["c/m"]["order_remaining_s"] if told["c/m"]["order"] == "drain" else None
    return Held(at, min(left, default=None), told["b/m"]["rest_remaining_s"], drain)


def _judge(report: Report, number: int, before: Held, after: Held) -> None:
    passed = after.at - before.at
    off: list[str] = []
    good = True
    for name, was, now in zip(Held._fields[1:], before[1:], after[1:], strict=True):
        if was is None or now is None:
            off.append(f"{name} {was} -> {now}")
            good = False
            continue
        difference = now - (was - passed)
        off.append(f"{name} {now:.1f} s left, off by {abs(difference):.2f} s")
        good = good and abs(difference) <= _MOST_OFF_S
    report.demand("kill", f"the same holds after kill -9, within 3 s ({number})", "; ".join(off), good)
