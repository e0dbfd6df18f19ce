"""A hundred edits of the configuration, good and bad, while requests and streams run: nobody notices."""

import asyncio
import gc
import random
from pathlib import Path

from proxy.core.event import Reloaded, StreamInterrupted
from proxy.pool.pool import Pool
from tests.support.fleet import Fleet, Seen, fleet
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated, api_keys: [KEYS]}
  backup: {kind: simulated}
EXTRA
defaults:
  deadline: 60s
  health: {probe: never}
  breaker: {consecutive: CONSECUTIVE}
  max_concurrent: LIMIT
routes:
  chat: {chain: [primary/m, backup/m]}
  EXTRA_ROUTE
  spread: {strategy: weighted, chain: [{to: primary/m, weight: WEIGHT}, {to: backup/m, weight: 1}]}
  "any-*": {chain: ["primary/*", "backup/*"]}
"""
BROKEN = ["version: 1\n", "upstreams: [", "", "version: 1\nroutes: {chat: {chain: [nobody/m]}}\n", "\x00\xff"]
WORDS = "one after another they speak, and whoever listens hears every word of it, however often the plan is changed"
KEYS = ["key-number-one", "key-number-two", "key-number-three"]


def edited(luck: random.Random) -> str:
    """Another good configuration."""
    extra = luck.choice([[], ["third"], ["third", "fourth"]])
    text = ROUTES.replace("KEYS", ", ".join(luck.sample(KEYS, luck.randint(1, 3))))
    text = text.replace("CONSECUTIVE", str(luck.choice([3, 5, 9]))).replace(
        "LIMIT", luck.choice(["50", "90", "adaptive"])
    )
    text = text.replace("WEIGHT", str(luck.choice([1, 5])))
    text = text.replace(
        "EXTRA_ROUTE", f"more: {{chain: [{', '.join(f'{name}/m' for name in extra)}]}}" if extra else ""
    )
    return text.replace("EXTRA", "".join(f"  {name}: {{kind: simulated}}\n" for name in extra))


def number_of_pools() -> int:
    """Those of configurations that are no longer in force go with their last request."""
    gc.collect()
    return sum(type(each) is Pool for each in gc.get_objects())


def good(seen: Seen) -> bool:
    return (200, WORDS, True) == (seen.status, seen.text, seen.done if seen.streamed else True)


async def ask_on(running: Fleet, luck: random.Random, stop: asyncio.Event, seen: list[Seen]) -> None:
    while not stop.is_set():
        model = luck.choice(["chat", "spread", f"any-{luck.randint(1, 9)}"])
        seen.append(await running.chat(model, stream=luck.random() < 0.7))


def test_a_hundred_edits_under_load(tmp_path: Path) -> None:
    luck = random.Random(7)
    file = tmp_path / "routes.yaml"

    async def scenario() -> None:
        async with fleet(edited(luck), file=file) as running:
            for upstream in running.simulator.upstreams.values():
                upstream.voice.answer = WORDS
            pools = number_of_pools()
            stop, seen = asyncio.Event(), list[Seen]()
            asking = [asyncio.ensure_future(ask_on(running, luck, stop, seen)) for _ in range(8)]
            outcomes = []
            for number in range(100):
                await asyncio.sleep(0.1)
                bad = number % 3 == 2
                file.write_text(luck.choice(BROKEN) if bad else edited(luck))
                if number % 10 == 5:
                    # This one is noticed, not told.
                    await asyncio.sleep(3)
                else:
                    reply = await running.request("POST", "/admin/v1/reload")
                    assert (422 if bad else 200) == reply.status, reply.body
                outcomes.append("refused" if bad else "ok")
            stop.set()
            await asyncio.gather(*asking)

            assert outcomes == [event.outcome for event in running.told if isinstance(event, Reloaded)]
            assert 200 < len(seen)
            assert [] == [(each.status, each.body[-200:]) for each in seen if not good(each)]
            assert [] == [event for event in running.told if isinstance(event, StreamInterrupted)]
            pool = running.proxy.pool
            assert {0} == {deployment.in_flight for deployment in pool.deployments()}
            assert {0} == {pool.upstream(name).in_flight for name in running.proxy.settings.upstreams}
            assert {1, 2} >= {len(deployment.guards) for deployment in pool.deployments()}
            # Of what was played for a while, only what is configured at the end is left.
            await asyncio.sleep(1)
            assert pools == number_of_pools()
            assert set(running.proxy.settings.upstreams) == set(running.simulator.upstreams)

    run_virtual(scenario())


def test_failures_during_edits_are_survived_as_ever(tmp_path: Path) -> None:
    luck = random.Random(3)
    file = tmp_path / "routes.yaml"

    async def scenario() -> None:
        async with fleet(edited(luck), file=file) as running:
            for upstream in running.simulator.upstreams.values():
                upstream.voice.answer = WORDS
            stop, seen = asyncio.Event(), list[Seen]()
            asking = [asyncio.ensure_future(ask_on(running, luck, stop, seen)) for _ in range(10)]
            for fault in ("503", "429:retry_after=1", "cut:after=5", "refuse", "unauthorized", None) * 2:
                await running.simulator.inject("primary", fault)
                for _ in range(3):
                    await asyncio.sleep(0.2)
                    file.write_text(edited(luck))
                    assert 200 == (await running.request("POST", "/admin/v1/reload")).status
            stop.set()
            await asyncio.gather(*asking)

            assert [] == [(each.status, each.body[-300:]) for each in seen if not good(each)]
            assert {0} == {deployment.in_flight for deployment in running.proxy.pool.deployments()}

    run_virtual(scenario())
