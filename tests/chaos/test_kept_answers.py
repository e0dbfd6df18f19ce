"""When all fail, a route may give the last good answer to the same request, marked as such."""

import asyncio

from proxy.core.event import Degraded
from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults:
  deadline: 60s
  timeout: {connect: 1s, first_token: 8s, idle: 4s}
  health: {probe: never}
routes:
  chat: {chain: [primary/m, backup/m], last_resort: {text: Sorry., cached: 1h}}
  only: {chain: [primary/m], last_resort: {cached: 1h}}
"""


def test_the_same_request_gets_the_answer_of_better_times() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for stream in (True, False):
                good = await running.chat(stream=stream)
                for name in ("primary", "backup"):
                    await running.simulator.inject(name, "refuse")
                await asyncio.sleep(30)
                kept = await running.chat(stream=stream)
                for name in ("primary", "backup"):
                    await running.simulator.inject(name, None)

                assert (200, good.body) == (kept.status, kept.body)
                assert "kept answer" == kept.headers["x-holdfast-reason"]
                assert kept.headers["x-holdfast-degraded"].startswith("reason=cached;age=3")
                assert "primary" == kept.headers["x-holdfast-upstream"]
            told = [event for event in running.told if isinstance(event, Degraded)]
            assert ["cached", "cached"] == [event.reason for event in told if event.deployment is None]

    run_virtual(scenario())


def test_another_request_gets_the_text() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.chat(temperature=0.1)
            for name in ("primary", "backup"):
                await running.simulator.inject(name, "refuse")
            for fields in ({"temperature": 0.2}, {"temperature": 0.1, "user": "x"}, {}):
                seen = await running.chat(**fields)

                assert ("Sorry.", "reason=last_resort;quality=0") == (
                    seen.text,
                    seen.headers["x-holdfast-degraded"],
                )
            assert "Sorry." == (await running.chat(stream=False, temperature=0.1)).text

    run_virtual(scenario())


def test_neither_is_kept_what_was_broken_nor_given_what_is_too_old() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.simulator.inject("primary", "cut:after=3")
            await running.chat("only")
            await running.simulator.inject("primary", "refuse")
            assert 502 == (await running.chat("only")).status

            await running.simulator.inject("primary", None)
            await running.chat("only")
            await running.simulator.inject("primary", "refuse")
            assert 200 == (await running.chat("only")).status
            await asyncio.sleep(3601)
            assert (await running.chat("only")).status >= 502

    run_virtual(scenario())
