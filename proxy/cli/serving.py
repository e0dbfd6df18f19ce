"""What `holdfast serve` does: listen, log, reload, and stop without breaking answers."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys

import click

from proxy import __version__
from proxy.app import Holdfast
from proxy.cli import heap
from proxy.cli.loading import place
from proxy.cli.loop import told_to_reload, told_to_stop
from proxy.cli.systemd import Notifier, inherited_sockets
from proxy.config.load import Loaded
from proxy.config.settings import DrainSettings, Settings
from proxy.control.reloads import Reload
from proxy.control.source import Source
from proxy.server.reach import open_place
from proxy.stores.claim import Claim, ClaimedError
from proxy.telemetry.log import Log

_logger = logging.getLogger("holdfast.cli")
_CLAIM_EVERY_S = 0.5


async def serve_until_told(settings: Settings, loaded: Loaded, source: Source) -> int:
    """Serve until a signal; the exit code."""
    # From here on SIGHUP does not end us any more, unless it comes because our terminal is gone.
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    stop, reload = told_to_stop(), told_to_reload()
    notifier = Notifier(os.environ, os.getpid())
    try:
        sockets = as_inherited(settings)
        claim, held_by = claim_state(settings, sockets)
    except ValueError as error:
        click.echo(f"holdfast: {error}", err=True)
        return 1
    log = Log(settings.log.format, settings.log.level)
    log_findings(loaded, log)
    if held_by is not None:
        log.info("state", message=f"{held_by}, which is taken to be on its way out")
    proxy = Holdfast(
        settings,
        config=loaded.masked,
        listeners=(log,),
        source=source,
        told=lambda reload: tell_reload(reload, log),
        sockets=sockets,
    )
    try:
        await proxy.start()
    except OSError as error:
        log.close()
        click.echo(f"holdfast: {cannot_listen(settings.server.host, settings.server.port, error)}", err=True)
        return 1
    log.info("listening", url=where(settings, sockets, proxy.port), version=__version__,
             routes=len(settings.routes), pid=os.getpid())  # fmt: skip
    heap.settle()
    notifier.ready()
    beside = [
        asyncio.create_task(_reload_when_told(proxy, reload, stop, notifier, on_terminal=on_terminal), name="reloads"),
        asyncio.create_task(notifier.live(), name="signs of life"),
        *([] if held_by is None else [asyncio.create_task(_claim_when_free(claim), name="claim")]),
    ]
    await stop.wait()
    stop.clear()
    notifier.stopping()
    await stop_without_breaking(proxy, stop, log)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    log.info("stopped")
    log.close()
    claim.close()
    return 0


async def stop_without_breaking(proxy: Holdfast, again: asyncio.Event, log: Log) -> None:
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
        # Closing the connections below them would wait for them to finish.
        await proxy.drain(DrainSettings(0.0, 0.0))
    impatient.cancel()
    await proxy.stop()


async def _reload_when_told(
    proxy: Holdfast, told: asyncio.Event, stop: asyncio.Event, notifier: Notifier, *, on_terminal: bool
) -> None:
    """Reload at each SIGHUP. One that comes because the terminal is gone, which we were started from, ends us."""
    while True:
        await told.wait()
        told.clear()
        if on_terminal and not os.isatty(sys.stdin.fileno()):
            stop.set()
            return
        notifier.reloading()
        try:
            await proxy.reload("signal")
        except Exception:
            # A bug in one reading must not end the next.
            _logger.exception("a bug of the proxy, in reading its configuration")
        notifier.ready()


def tell_reload(reload: Reload, log: Log) -> None:
    """What the log says of a reload beside its line: every finding; from then on it is written as wanted now."""
    if reload.settings is not None:
        log.change(reload.settings.log.format, reload.settings.log.level)
    for finding in reload.findings:
        log.warning("configuration", at=place(finding), message=finding.message)


def log_findings(loaded: Loaded, log: Log) -> None:
    """What `check` finds, in the log."""
    for finding in loaded.findings:
        log.warning("configuration", at=place(finding), message=finding.message)


def as_inherited(settings: Settings) -> list[socket.socket]:
    """The sockets that we were given. Raises ValueError where they would let anyone in."""
    sockets = inherited_sockets(os.environ, os.getpid())
    if sockets and settings.clients is None and open_place(sockets, settings.server.host) is not None:
        cure = 'clients: [{name: me, key: "${MY_KEY}"}]'
        raise ValueError(f"the socket unit lets anyone in; first say in routes.yaml who may call: {cure}")
    return sockets


def claim_state(settings: Settings, inherited: list[socket.socket]) -> tuple[Claim, str | None]:
    """Keep other proxies away from the state file. Raises ValueError where one has it.

    On a socket that was inherited the one before may still be draining: then it is not refused, but said who has it.
    """
    claim = Claim(settings.state_path)
    try:
        claim.make()
    except ClaimedError as error:
        if inherited:
            return claim, str(error)
        cure = "stop that one, or give this one a state.path of its own (state: null keeps nothing)"
        raise ValueError(f"{error}; {cure}") from None
    return claim, None


async def _claim_when_free(claim: Claim) -> None:
    while True:
        try:
            claim.make()
        except ClaimedError:
            await asyncio.sleep(_CLAIM_EVERY_S)
        else:
            return


def where(settings: Settings, sockets: list[socket.socket], port: int) -> str:
    """The address that clients use."""
    name = sockets[0].getsockname() if sockets else (settings.server.host, port)
    if not isinstance(name, tuple):
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{port}/v1"


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
