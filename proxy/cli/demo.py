"""holdfast demo."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace

import click

from proxy.cli.common import fail
from proxy.cli.loop import run
from proxy.config.load import load
from proxy.config.resolve import Settings, resolve

ROUTES = """\
version: 1
upstreams:
  primary: {kind: simulated, timeout: {first_token: 1s, idle: 2s}}
  backup: {kind: simulated}
  local: {kind: simulated}
defaults:
  deadline: 30s
  retry: {attempts: 2, backoff: {initial: 100ms}}
routes:
  chat: {chain: [primary/demo, backup/demo, local/demo]}
  default: {chain: [primary/demo, backup/demo, local/demo]}
"""
"""The embedded configuration. It is a routes.yaml like any other."""


@click.command(epilog="Examples:\n\n  holdfast demo\n\n  holdfast demo --once")
@click.option("--port", default=8400, show_default=True, type=click.IntRange(0, 65535))
@click.option("--once", is_flag=True, help="Stop after the story; exit 0 only if the client saw no failure.")
def demo(port: int, once: bool) -> None:
    """Run the proxy on simulated upstreams, break them one way after another, and tell what the client saw.

    Needs no key and no network. Goes on serving afterwards, unless --once is given.
    """
    loaded = load(ROUTES, filename="(demo)", environ={}, read_file=_no_files)
    if loaded.config is None:
        fail("the embedded configuration is broken")
    settings = resolve(loaded.config, loaded.unconfigured)
    settings = replace(settings, server=replace(settings.server, port=0 if once else port))
    sys.exit(run(_demo(settings, once=once)))


def _no_files(path: str) -> str:
    raise FileNotFoundError(path)


async def _demo(settings: Settings, *, once: bool) -> int:
    from proxy.app import Holdfast
    from proxy.cli.story import tell_story

    proxy = Holdfast(settings)
    try:
        await proxy.start()
    except OSError:
        # The usual port is taken, perhaps by a real proxy: any other will do for a demonstration.
        proxy = Holdfast(replace(settings, server=replace(settings.server, port=0)))
        await proxy.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        telling = asyncio.create_task(tell_story(proxy), name="story")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            return 0
        good = await telling
        if not once:
            _next_steps(proxy.port)
            await stopping
        stopping.cancel()
        return 0 if good else 1
    finally:
        await proxy.stop()


def _next_steps(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    body = '{"model":"chat","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    me = os.environ.get("HOLDFAST_COMMAND", "holdfast")
    at = "" if port == 8400 else f" --url {url}"
    click.echo(
        f"""
Still running; Ctrl-C stops it. In another terminal:
  {me} fault{at} primary 503       break it (hang, empty, 429, cut:after=9, off, ...) while you ask:
  {me} ask{at} "hello"
  curl -N {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'
  OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=demo python your_app.py      (model "chat")
For real: {me} init -o my-routes.yaml && {me} serve -c my-routes.yaml"""
    )
