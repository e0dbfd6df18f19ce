"""What `holdfast demo` does: start everything, tell the story, and go on serving."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from proxy.app import Holdfast
from proxy.cli.loop import told_to_stop
from proxy.cli.options import USUAL_PORT
from proxy.cli.phrases import me
from proxy.cli.serving import cannot_listen
from proxy.cli.story import Watcher, tell_story
from proxy.config.settings import DrainSettings, Settings


async def show(settings: Settings, ports: list[int], *, once: bool) -> int:
    """Tell the story on the first of these ports that is free, and go on serving; the exit code."""
    stop = told_to_stop()
    watcher = Watcher()
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
        await proxy.drain(DrainSettings(0.0, 0.0))
        await proxy.stop()


async def _started(settings: Settings, ports: list[int], watcher: Watcher) -> Holdfast:
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
    at = "" if port == USUAL_PORT else f" --url {url}"
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
