"""holdfast demo."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import click

from proxy.app import Holdfast
from proxy.cli.common import examples, fail, me
from proxy.cli.loop import run, told_to_stop
from proxy.cli.story import Watcher
from proxy.config.resolve import Settings

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
_PORT = 8400


@click.command(epilog=examples("holdfast demo", "holdfast demo --once"))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Where to listen; 0 is any free port. [default: {_PORT}, or a free one if that is taken]",
)
@click.option("--once", is_flag=True, help="Stop after the story; exit 0 only if it went as it should.")
def demo(port: int | None, once: bool) -> None:
    """Run the proxy on simulated upstreams, break them one way after another, and tell what the client saw.

    Needs no key and no network. Goes on serving afterwards, unless --once is given.
    """
    from proxy.config.load import load
    from proxy.config.resolve import resolve

    loaded = load(ROUTES, filename="(demo)", environ={}, read_file=_no_files)
    if loaded.config is None:
        fail("the embedded configuration is broken")
    sys.exit(run(_demo(resolve(loaded.config, loaded.unconfigured), port, once=once)))


def _no_files(path: str) -> str:
    raise FileNotFoundError(path)


async def _demo(settings: Settings, port: int | None, *, once: bool) -> int:
    from proxy.cli.serve import cannot_listen, end_now
    from proxy.cli.story import Watcher, tell_story

    stop = told_to_stop()
    watcher = Watcher()
    # A story that is told once disturbs nobody on the usual port. Otherwise, if that is taken, perhaps by a real proxy,
    # any other will do; a port that was asked for is another matter.
    ports = [port] if port is not None else [0] if once else [_PORT, 0]
    try:
        proxy = await _started(settings, ports, watcher)
    except OSError as error:
        click.echo(f"holdfast: {cannot_listen(settings.server.host, ports[-1], error)}", err=True)
        return 1
    try:
        telling = asyncio.create_task(tell_story(proxy), name="story")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            click.echo("\nstopped before the end of the story", err=True)
            return 1 if once else 0
        good = await telling
        if not once:
            _say_next_steps(proxy.port)
            watcher.on = True
            await stopping
        stopping.cancel()
        return 0 if good else 1
    finally:
        await end_now(proxy)
        await proxy.stop()


async def _started(settings: Settings, ports: list[int], watcher: Watcher) -> Holdfast:
    """The proxy on the first of these ports that is free."""
    from proxy.app import Holdfast

    for port in ports:
        proxy = Holdfast(replace(settings, server=replace(settings.server, port=port)), listeners=(watcher,))
        try:
            await proxy.start()
        except OSError:
            if port == ports[-1]:
                raise
        else:
            return proxy
    raise AssertionError("there is at least one port")


def _say_next_steps(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    at = "" if port == _PORT else f" --url {url}"
    body = '{"model":"chat","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    click.echo(
        f"""
Now you. Break the primary, from another terminal:

  {me()} fault{at} primary 503

and ask while it is broken, in any of these ways:

  {me()} ask{at} "hello"
  curl -N {url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{body}'
  OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=demo python your_app.py

The application's model is "chat". Other faults: hang, 429, empty, refuse, cut:after=9; off heals.
`{me()} fault --list` has more. For real:

  {me()} init -o my-routes.yaml
  {me()} serve -c my-routes.yaml

Running until Ctrl-C. What happens meanwhile:
"""
    )
