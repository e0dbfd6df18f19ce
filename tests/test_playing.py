"""The simulated upstreams that a proxy plays: started when settings name them, stopped when nobody needs them."""

from __future__ import annotations

import asyncio

from proxy.playing import Playing
from proxy.server.lifecycle import Lifecycle
from tests.support.fleet import settings_of


class Request:
    def cancel(self) -> None:
        """It is never asked to."""


def routes(*upstreams: str) -> str:
    named = "\n".join(f"  {name}: {{kind: simulated}}" for name in upstreams)
    return f"version: 1\nupstreams:\n{named}\nroutes:\n  r: {{chain: [{upstreams[0]}/m]}}\n"


async def test_what_is_named_no_more_stops_when_its_last_user_is_done() -> None:
    playing, lifecycle, request = Playing(), Lifecycle(), Request()
    before = await playing.with_addresses(settings_of(routes("a", "b")))
    after = await playing.with_addresses(settings_of(routes("a")))
    lifecycle.running.add(request)
    playing.follow(before, after, lifecycle)
    await asyncio.sleep(0)
    assert {"a", "b"} == playing.played(before)

    lifecycle.over(request)
    await asyncio.gather(*playing._leaving)
    assert {"a"} == playing.played(before)
    await playing.close()


async def test_what_is_named_again_meanwhile_stays() -> None:
    playing, lifecycle, request = Playing(), Lifecycle(), Request()
    both = await playing.with_addresses(settings_of(routes("a", "b")))
    one = await playing.with_addresses(settings_of(routes("a")))
    lifecycle.running.add(request)
    playing.follow(both, one, lifecycle)
    playing.follow(one, both, lifecycle)
    lifecycle.over(request)
    await asyncio.gather(*playing._leaving)

    assert {"a", "b"} == playing.played(both)
    await playing.close()


async def test_closing_waits_for_nobody() -> None:
    playing, lifecycle = Playing(), Lifecycle()
    before = await playing.with_addresses(settings_of(routes("a", "b")))
    after = await playing.with_addresses(settings_of(routes("a")))
    lifecycle.running.add(Request())
    playing.follow(before, after, lifecycle)
    await playing.close()

    assert not playing._leaving
