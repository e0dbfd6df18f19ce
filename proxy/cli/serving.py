"""What `holdfast serve` does: listen, log, and stop without breaking answers."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import replace

import click

from proxy import __version__
from proxy.app import Holdfast
from proxy.cli.loading import place
from proxy.cli.loop import told_to_stop
from proxy.config.load import Loaded
from proxy.config.settings import Settings
from proxy.telemetry.log import Log


async def serve_until_told(settings: Settings, loaded: Loaded) -> int:
    """Serve until a signal; the exit code."""
    stop = told_to_stop()
    log = Log(settings.log.format, settings.log.level)
    for finding in loaded.findings:
        log.warning("configuration", at=place(finding), message=finding.message)
    proxy = Holdfast(settings, config=loaded.masked, listeners=(log,))
    try:
        await proxy.start()
    except OSError as error:
        log.close()
        click.echo(f"holdfast: {cannot_listen(settings.server.host, settings.server.port, error)}", err=True)
        return 1
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    url = f"http://{host}:{proxy.port}/v1"
    log.info("listening", url=url, version=__version__, routes=len(settings.routes), pid=os.getpid())
    await stop.wait()
    stop.clear()
    await _stop(proxy, stop, log)
    log.info("stopped")
    log.close()
    return 0


async def _stop(proxy: Holdfast, again: asyncio.Event, log: Log) -> None:
    """Finish running answers; when told a second time, end them with a word to their clients."""
    limits = proxy.settings.server.drain
    log.info("draining", delay_s=limits.delay, timeout_s=limits.timeout)
    draining = asyncio.create_task(proxy.drain(), name="drain")
    impatient = asyncio.create_task(again.wait(), name="second signal")
    await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        log.warning("told again to stop: running answers are ended")
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        await end_now(proxy)
    impatient.cancel()
    await proxy.stop()


async def end_now(proxy: Holdfast) -> None:
    """End running answers with an error event. Closing connections below them would wait for them to finish."""
    server = replace(proxy.settings.server, drain=replace(proxy.settings.server.drain, delay=0.0, timeout=0.0))
    proxy.settings = replace(proxy.settings, server=server)
    await proxy.drain()


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """What is wrong with an address, and the cure."""
    if error.errno == errno.EADDRINUSE:
        free = _next_free(host, port)
        other = f"try --port {free}" if free else "choose another with --port"
        return f"port {port} is taken; {other}, or see who has it: ss -ltnp 'sport = :{port}'"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges; try --port 8400"
    return f"cannot listen on {host}: {error.strerror or error}; give an address of this machine with --host"


def _next_free(host: str, port: int) -> int | None:
    """The first port above a taken one that is free right now, for advice to people."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port + 1, min(port + 50, 65536)):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return None
