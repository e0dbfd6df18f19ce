"""One proxy takes over from another on the same socket, under load: rolling restarts, and kills without a warning."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import aiohttp

from benchmarks.support.children import Fleet, Pace, fleet
from benchmarks.support.complaints import demand_none
from benchmarks.support.successors import Successors
from benchmarks.support.table import Options, Report
from benchmarks.support.talk import WORDS, Said, Talk, telling

CONFIG = {
    "telemetry": {"log": {"level": "warning", "format": "json"}},
    "routes": {"chat": {"strategy": "weighted", "chain": [{"to": f"{name}/m", "weight": 1} for name in "abc"]}},
}
PACE = Pace(first_token=0.02, pace=0.03, words=WORDS)
_RESTARTS = 10
_KILLS = 10


class Outage(NamedTuple):
    """Nobody served from the kill on, the last of its connections was gone at `gone`. Wall clock."""

    killed: float
    gone: float
    up: float


async def measure_restarts(options: Options, report: Report) -> None:
    """With answers of seconds, for which the old process has to stay, and with short ones only."""
    await _restart(options, report, "restarts", long=True)
    await _restart(options, report, "restarts, short answers", long=False)


async def _restart(options: Options, report: Report, name: str, *, long: bool) -> None:
    """Every second time the next one serves before the last one is told to stop; else it begins when that is gone."""
    drains: list[float] = []
    async with fleet(CONFIG, PACE) as running:
        await running.kill_proxy()
        async with Successors(running.folder) as serving:
            process = await serving.start()
            async with Talk(serving.url, "chat", options.workers, long=long) as talk:
                await asyncio.sleep(2)
                for number in range(int(options.seconds(_RESTARTS, 4))):
                    if number % 2:
                        drains.append(await serving.stop(process))
                        process = await serving.start()
                    else:
                        following = await serving.start()
                        drains.append(await serving.stop(process))
                        process = following
                    await asyncio.sleep(1.5)
            left = await _left(running, serving.url)
            await serving.stop(process)
        demand_none(report, name, serving.log)
    lost, streams = talk.lost, [each for each in talk.said if each.stream]
    shown = f"{len(lost)} of {len(talk.said):,} in {len(drains)} restarts"
    report.demand(name, "no failed request", shown, not lost)
    broken = sum(each.stream for each in lost)
    report.demand(name, "no lost stream", f"{broken} of {len(streams):,}", not broken)
    report.demand(name, "nothing is in flight when the load is over", left, left == "0 requests, 0 attempts")
    if lost:
        report.note(name, telling(lost))
    slowest = max(each.took for each in talk.said)
    report.note(
        name,
        f"the old process was gone {min(drains):.1f} to {max(drains):.1f} s after SIGTERM; the longest answer took "
        f"{slowest:.1f} s, waiting for the next process included",
    )


async def measure_crashes(options: Options, report: Report) -> None:
    """kill -9, and the next one at once or after a while."""
    times = int(options.seconds(_KILLS, 4))
    outages: list[Outage] = []
    async with fleet(CONFIG, PACE) as running:
        await running.kill_proxy()
        async with Successors(running.folder) as serving:
            process = await serving.start()
            async with Talk(serving.url, "chat", options.workers) as talk:
                for number in range(times):
                    await asyncio.sleep(2.0)
                    killed = time.time()
                    process.kill()
                    await process.wait()
                    gone = time.time()
                    await asyncio.sleep((0.0, 1.0)[number % 2])
                    process = await serving.start()
                    outages.append(Outage(killed, gone, time.time()))
            left = await _left(running, serving.url)
            await serving.stop(process)
        demand_none(report, "crashes", serving.log)
    others = [each for each in talk.lost if not any(_had(each, outage) for outage in outages)]
    shown = f"{len(others)} of {len(talk.said):,} in {len(outages)} kills"
    report.demand("crashes", "no failure of a request that the killed process had not", shown, not others)
    worst = max(sum(_had(each, outage) for each in talk.lost) for outage in outages)
    report.demand("crashes", "at most one failure for each client and kill", f"{worst}", worst <= options.workers)
    met = [each for each in talk.said if any(outage.gone <= each.began < outage.up for outage in outages)]
    good = sum(not each.problem for each in met)
    report.demand("crashes", "who comes while nobody serves is served", f"{good} of {len(met)}", 0 < good == len(met))
    report.demand("crashes", "nothing is in flight when the load is over", left, left == "0 requests, 0 attempts")
    if others:
        report.note("crashes", telling(others))
    down = [outage.up - outage.killed for outage in outages]
    report.note(
        "crashes", f"{len(talk.lost) - len(others)} failed with the killed; down {min(down):.1f} to {max(down):.1f} s"
    )


def _had(said: Said, outage: Outage) -> bool:
    """Whether the killed process may have had the request: begun before its connections were gone, and not over."""
    return said.began <= outage.gone and said.ended >= outage.killed


async def _left(running: Fleet, url: str) -> str:
    # Whoever ends a stream may be told so a moment before the proxy has written it down.
    await asyncio.sleep(0.5)
    async with running.session.get(f"{url}/admin/v1/status", timeout=aiohttp.ClientTimeout(total=5)) as reply:
        status = await reply.json()
    async with running.session.get(f"{url}/admin/v1/deployments", timeout=aiohttp.ClientTimeout(total=5)) as reply:
        attempts = sum(each["in_flight"] for each in (await reply.json())["deployments"])
    return f"{status['in_flight']} requests, {attempts} attempts"
