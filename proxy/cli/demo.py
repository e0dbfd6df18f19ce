"""holdfast demo."""

from __future__ import annotations

import sys

import click

from proxy.cli.options import USUAL_PORT
from proxy.cli.phrases import examples, fail

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


@click.command(epilog=examples("holdfast demo", "holdfast demo --once"))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Where to listen; 0 is any free port. [default: {USUAL_PORT}, or a free one if that is taken]",
)
@click.option("--once", is_flag=True, help="Stop after the story; exit 0 only if it went as it should.")
def demo(port: int | None, once: bool) -> None:
    """Run the proxy on simulated upstreams, break them one way after another, and tell what the client saw.

    Needs no key and no network. Goes on serving afterwards, unless --once is given.
    """
    from proxy.cli.loop import run
    from proxy.cli.showing import show
    from proxy.config.load import load
    from proxy.config.resolve import resolve

    loaded = load(ROUTES, filename="(demo)", environ={}, read_file=_no_files)
    if loaded.config is None:
        fail("the embedded configuration is broken")
    # A story that is told once disturbs nobody on the usual port. Otherwise, if that is taken, perhaps by a real proxy,
    # any other will do; a port that was asked for is another matter.
    ports = [port] if port is not None else [0] if once else [USUAL_PORT, 0]
    sys.exit(run(show(resolve(loaded.config, loaded.unconfigured), ports, once=once)))


def _no_files(path: str) -> str:
    raise FileNotFoundError(path)
