"""Two hundred edits of routes.yaml, good and bad, told in three ways, while requests and streams run."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import aiohttp

from benchmarks.support.children import Fleet, Pace, fleet
from benchmarks.support.complaints import demand_none
from benchmarks.support.figures import percentile
from benchmarks.support.follower import Follower
from benchmarks.support.table import Options, Report
from benchmarks.support.talk import WORDS, Talk, telling

How = Literal["file", "signal", "operator"]
Document = dict[str, Any]

ROUTES = {"chat": {"chain": ["a/m", "b/m"]}}
_WAYS: tuple[How, ...] = ("file", "signal", "operator", "signal", "operator")
_PATIENCE_S = 15.0
_NO_ROUTES = {"version": 1, "routes": {}}


async def measure(options: Options, report: Report) -> None:
    """Every third edit is bad; every fifth is noticed by the proxy itself."""
    luck = random.Random(1)
    number = int(options.seconds(200, 40))
    wanted: list[tuple[str, str]] = []
    took: list[float] = []
    async with (
        fleet({"routes": ROUTES}, Pace(first_token=0.02, pace=0.03, words=WORDS)) as running,
        Follower(running.url, ("Reloaded",)) as follower,
        Talk(running.url, "chat", options.workers) as talk,
    ):
        file = running.folder / "routes.yaml"
        original = json.loads(file.read_text(encoding="utf-8"))
        await asyncio.sleep(1)
        for place in range(number):
            how, bad = _WAYS[place % len(_WAYS)], place % 3 == 2
            wanted.append((how, "refused" if bad else "ok"))
            started = time.monotonic()
            _write(file, broken(original, luck) if bad else edited(original, luck), whole=luck.random() < 0.5)
            await _tell(running, how)
            await _until_heard(follower, len(wanted))
            took.append(time.monotonic() - started)
            await asyncio.sleep(0.05)
        heard = [(each["cause"], each["outcome"]) for each in follower.events]
        await _finished(talk)
        demand_none(report, "edits", running.folder / "proxy.log")
        status = await running.get("/admin/v1/status")
        attempts = sum(each["in_flight"] for each in (await running.get("/admin/v1/deployments"))["deployments"])
    lost, streams = talk.lost, sum(each.stream for each in talk.said)
    broken_streams = sum(each.stream for each in lost)
    right = sum(a == b for a, b in zip(wanted, heard, strict=False))
    shown = f"{right} of {number}" + ("" if len(heard) == number else f", heard of {len(heard)}")
    report.demand("edits", "each is taken, or refused, as it should be", shown, wanted == heard)
    report.demand("edits", "no failed request", f"{len(lost)} of {len(talk.said):,}", not lost)
    report.demand("edits", "no lost stream", f"{broken_streams} of {streams:,}", not broken_streams)
    left = f"{status['in_flight']} requests, {attempts} attempts"
    report.demand("edits", "nothing is in flight when the load is over", left, left == "0 requests, 0 attempts")
    if lost:
        report.note("edits", telling(lost))
    at_once = [each for each, (how, _) in zip(took, wanted, strict=True) if how != "file"]
    report.note(
        "edits",
        f"from the edit to its outcome, when told: p50 {percentile(at_once, 0.5) * 1000:.0f} ms, "
        f"p99 {percentile(at_once, 0.99) * 1000:.0f} ms; when noticed: up to {max(took):.1f} s",
    )


def edited(original: Mapping[str, Any], luck: random.Random, keep: str | None = None) -> Document:
    """Another good configuration, in which `chat` can be answered; by `keep` in any case, which stays where it is."""
    document = json.loads(json.dumps(original))
    upstreams, names = document["upstreams"], ["a", "b", "c"]
    luck.shuffle(names)
    if keep is not None:
        names.remove(keep)
        names.insert(luck.randint(0, 1), keep)
    for name in names:
        upstreams[name]["api_keys"] = luck.sample(["key-number-one", "key-number-two", "key-number-three"], 2)
        upstreams[name]["max_concurrent"] = luck.choice([50, 90, "adaptive"])
    if luck.random() < 0.3:
        # Each has the other's address: another server, of which nothing is known.
        first, second = [upstreams[name] for name in names if name != keep][:2]
        first["base_url"], second["base_url"] = second["base_url"], first["base_url"]
    chain = [{"to": f"{name}/m", "weight": luck.randint(1, 5)} for name in names[: luck.randint(2, 3)]]
    if luck.random() < 0.3:
        del upstreams[names[2]]
        chain = chain[:2]
    strategy = luck.choice(["sequential", "weighted"])
    if strategy == "sequential":
        chain = [{"to": step["to"]} for step in chain]
    extra = {f"extra-{luck.randint(1, 9)}-*": {"chain": [f"{names[0]}/*"]}}
    document["routes"] = {"chat": {"strategy": strategy, "chain": chain}, **extra}
    document["defaults"] = {
        "deadline": luck.choice(["60s", "90s"]),
        "breaker": {"consecutive": luck.choice([3, 5, 9])},
        "health": {"probe": luck.choice(["auto", "never"])},
    }
    document["server"]["max_concurrent"] = luck.choice([500, 1000])
    document["server"]["timeout"] = {"keepalive": luck.choice(["20s", "75s"])}
    return document


def broken(original: Mapping[str, Any], luck: random.Random) -> Document | str:
    """A configuration that must be refused."""
    text = json.dumps(original, indent=1)
    return luck.choice(
        [
            "",
            "upstreams: [",
            "\x00",
            text[: len(text) // 2],
            text.replace("a/m", "nobody/m"),
            text.replace('"version": 1', '"version": 1, "routs": {}'),
            text.replace('"kind": "simulated"', '"kind": "magic"'),
            json.dumps(_NO_ROUTES),
        ]
    )


def _write(file: Path, what: Document | str, *, whole: bool) -> None:
    """As editors do: into the file, or another file into its place."""
    text = what if isinstance(what, str) else json.dumps(what, indent=1)
    if whole:
        other = file.with_suffix(".new")
        other.write_text(text, encoding="utf-8")
        other.replace(file)
    else:
        file.write_text(text, encoding="utf-8")


async def _tell(running: Fleet, how: How) -> None:
    if how == "signal" and running.proxy is not None:
        running.proxy.send_signal(signal.SIGHUP)
    elif how == "operator":
        url = f"{running.url}/admin/v1/reload"
        async with running.session.post(url, json={}, timeout=aiohttp.ClientTimeout(total=10)) as reply:
            if reply.status not in {200, 422}:
                raise RuntimeError(f"the reload is answered by {reply.status}: {(await reply.text())[:300]}")


async def _until_heard(follower: Follower, count: int) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while len(follower.events) < count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def _finished(talk: Talk) -> None:
    await talk.finish()
    await asyncio.sleep(0.5)
