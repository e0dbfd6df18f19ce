"""holdfast serve."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import click

from proxy import __version__
from proxy.cli.common import config_option, fail, load_or_exit
from proxy.cli.loop import run
from proxy.config.load import Loaded
from proxy.config.resolve import Settings


@click.command(epilog="Examples:\n\n  holdfast serve\n\n  holdfast serve -c prod.yaml --port 9000")
@config_option
@click.option("--host", envvar="HOST", help="Listen here instead of server.host.")
@click.option("--port", envvar="PORT", type=click.IntRange(0, 65535), help="Listen here instead of server.port.")
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), envvar="HOLDFAST_LOG_FORMAT")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), envvar="HOLDFAST_LOG_LEVEL")
def serve(path: Path, host: str | None, port: int | None, log_format: str | None, log_level: str | None) -> None:
    """Run the proxy until it is told to stop (SIGTERM or Ctrl-C: running answers are finished first)."""
    loaded, settings = load_or_exit(path)
    if host not in {None, "127.0.0.1", "localhost", "::1"} and settings.clients is None:
        fail(f"--host {host} would let anyone in: name who may call under `clients` in {path} first")
    server = replace(
        settings.server,
        host=settings.server.host if host is None else host,
        port=settings.server.port if port is None else port,
    )
    log = replace(settings.log, format=log_format or settings.log.format, level=log_level or settings.log.level)
    sys.exit(run(_serve(replace(settings, server=server, log=log), loaded)))


async def _serve(settings: Settings, loaded: Loaded) -> int:
    # Imported here, so that a bad file is reported before half a second of imports.
    from proxy.app import Holdfast
    from proxy.telemetry.log import Log

    log = Log(settings.log.format, settings.log.level)
    proxy = Holdfast(settings, config=loaded.masked, listeners=(log,))
    try:
        await proxy.start()
    except OSError as error:
        log.close()
        return _cannot_listen(settings.server.host, settings.server.port, error)
    url = f"http://{settings.server.host}:{proxy.port}"
    log.info("listening", url=f"{url}/v1", version=__version__, routes=len(settings.routes), pid=os.getpid())
    stop = _signals()
    await stop.wait()
    stop.clear()
    log.info("draining", delay_s=settings.server.drain.delay, timeout_s=settings.server.drain.timeout)
    draining = asyncio.create_task(proxy.drain(), name="drain")
    again = asyncio.create_task(stop.wait(), name="second signal")
    await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, again):
        task.cancel()
    await asyncio.gather(draining, again, return_exceptions=True)
    await proxy.stop()
    log.info("stopped")
    log.close()
    return 0


def _signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event


def _cannot_listen(host: str, port: int, error: OSError) -> int:
    from proxy.server.listener import free_port

    if error.errno == errno.EADDRINUSE:
        cure = (
            f"port {port} is taken; try --port {free_port(host)}, or find who has it with: ss -ltnp 'sport = :{port}'"
        )
    elif error.errno == errno.EACCES:
        cure = f"port {port} needs privileges; try --port 8400"
    else:
        cure = f"cannot listen on {json.dumps(host)}: {error.strerror}"
    click.echo(f"holdfast: {cure}", err=True)
    return 1
