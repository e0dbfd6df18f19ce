"""One real prompt to each deployment, for `check --live`."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

import click
import msgspec

from proxy.config.resolve import Settings, StepSettings
from proxy.core.chat import parse_chat
from proxy.core.failure import Failure
from proxy.core.names import DeploymentId
from proxy.upstreams.client import JsonReply, Timers, UpstreamClient
from proxy.upstreams.transport import Transport

_PROMPT = {"messages": [{"role": "user", "content": "Reply with the word ok."}], "max_tokens": 64}


class Tested(NamedTuple):
    """What one deployment answered."""

    deployment: str
    good: bool
    said: str
    ms: float


def check_live(settings: Settings, *, as_json: bool) -> bool:
    """Print a line per deployment; True when every one answered. Steps with globs have no model to ask for."""
    results = asyncio.run(_ask_all(settings))
    if as_json:
        click.echo(json.dumps([result._asdict() for result in results], indent=2))
    for result in [] if as_json else results:
        click.echo(f"{'ok  ' if result.good else 'FAIL'}  {result.deployment}  {result.ms:.0f} ms  {result.said}")
    return all(result.good for result in results)


async def _ask_all(settings: Settings) -> list[Tested]:
    steps = {
        DeploymentId(step.upstream, step.model): step
        for route in settings.routes.values()
        for step in route.steps
        if step.unusable is None and "*" not in step.model and _reachable(settings, step)
    }
    transport = Transport()
    client = UpstreamClient(settings.upstreams, transport)
    try:
        return list(await asyncio.gather(*(_ask(client, id_, step) for id_, step in steps.items())))
    finally:
        await transport.close()


def _reachable(settings: Settings, step: StepSettings) -> bool:
    # A simulated upstream without an address exists only within a running proxy.
    return bool(settings.upstreams[step.upstream].base_url)


async def _ask(client: UpstreamClient, id_: DeploymentId, step: StepSettings) -> Tested:
    clock = asyncio.get_running_loop().time
    started = clock()
    request = parse_chat(msgspec.json.encode({"model": id_.model, **_PROMPT}))
    until = started + step.timeouts.first_token
    timers = Timers(step.timeouts.connect, until, step.timeouts.idle, until + step.timeouts.idle)
    reply = await client.call(id_, 0, request, without=(), timers=timers)
    ms = (clock() - started) * 1000
    if isinstance(reply, JsonReply):
        return Tested(str(id_), good=True, said="answered", ms=ms)
    said = f"{reply.code}: {reply.message}" if isinstance(reply, Failure) else "a stream, unasked"
    return Tested(str(id_), good=False, said=said[:200], ms=ms)
