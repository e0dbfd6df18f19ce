"""One real prompt to each deployment, for `check --live`."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import click
import msgspec

from proxy.config.finding import printable
from proxy.config.settings import Settings, StepSettings
from proxy.core.chat import parse_chat
from proxy.core.failure import Failure
from proxy.core.names import DeploymentId
from proxy.upstreams.client import Timers, UpstreamClient
from proxy.upstreams.replies import JsonReply
from proxy.upstreams.transport import Transport
from proxy.upstreams.ways import Ask

_PROMPT = {"messages": [{"role": "user", "content": "Reply with the word ok."}]}


class Tested(NamedTuple):
    """What one deployment answered."""

    deployment: str
    good: bool
    said: str
    ms: float
    """Until the whole answer was there."""


def ask_all(settings: Settings) -> list[Tested]:
    """One prompt to each deployment that has an address, with each of its keys. A glob has no model to ask for."""
    return asyncio.run(_ask_all(settings))


def print_tested(tested: list[Tested], form: str) -> None:
    """A line per deployment, as `text` or as `github`."""
    if not tested:
        click.echo("live: there is nobody to ask; set a key, or give an upstream a base_url")
    for each in tested:
        said = printable(each.said)
        if form == "github" and not each.good:
            click.echo(f"::error::{each.deployment}: {said}")
        else:
            click.echo(f"{'ok  ' if each.good else 'FAIL'}  {each.deployment}  {each.ms:.0f} ms  {said}")


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
        calls = [
            _ask(client, id_, step, key, len(_keys(settings, id_)))
            for id_, step in steps.items()
            for key in range(len(_keys(settings, id_)))
        ]
        return list(await asyncio.gather(*calls))
    finally:
        await transport.close()


def _reachable(settings: Settings, step: StepSettings) -> bool:
    # A simulated upstream without an address exists only within a running proxy.
    return bool(settings.upstreams[step.upstream].base_url)


def _keys(settings: Settings, id_: DeploymentId) -> tuple[str, ...]:
    return settings.upstreams[id_.upstream].keys or ("",)


async def _ask(client: UpstreamClient, id_: DeploymentId, step: StepSettings, key: int, keys: int) -> Tested:
    clock = asyncio.get_running_loop().time
    started = clock()
    request = parse_chat(msgspec.json.encode({"model": id_.model, **_PROMPT}))
    until = started + step.timeouts.first_token
    timers = Timers(step.timeouts.connect, until, step.timeouts.idle, until + step.timeouts.idle)
    reply = await client.call(id_, key, Ask(request), timers)
    name = f"{id_} (key {key + 1} of {keys})" if keys > 1 else str(id_)
    ms = round((clock() - started) * 1000, 1)
    if isinstance(reply, JsonReply):
        return Tested(name, good=True, said="answered", ms=ms)
    said = f"{reply.code}: {reply.message}" if isinstance(reply, Failure) else "a stream, unasked"
    return Tested(name, good=False, said=said[:200], ms=ms)
