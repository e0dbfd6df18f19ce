"""What `holdfast serve` does with several workers: bind, fork, keep them going; and what each of them does."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Sequence

import click

from proxy import __version__
from proxy.cli import heap
from proxy.cli.loop import Ending, run
from proxy.cli.serving import (
    as_inherited,
    cannot_listen,
    claim_state,
    log_findings,
    stop_without_breaking,
    tell_reload,
    where,
)
from proxy.cli.systemd import Notifier
from proxy.config.load import Loaded
from proxy.config.settings import Settings
from proxy.control.source import Source
from proxy.player import Ports, play
from proxy.telemetry.line_writer import PlainWriter
from proxy.telemetry.log import Log
from proxy.worker.worker import Worker
from proxy.workers.seat import Seat
from proxy.workers.sockets import Listening, bound, shared
from proxy.workers.supervisor import Supervisor


def supervise(settings: Settings, loaded: Loaded, source: Source, workers: int) -> int:
    """Serve with several workers until a signal; the exit code."""
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    notifier = Notifier(os.environ, os.getpid())
    try:
        inherited = as_inherited(settings)
        claim, _ = claim_state(settings, inherited)
        sockets, port = _sockets(settings, inherited, workers)
    except ValueError as error:
        click.echo(f"holdfast: {error}", err=True)
        return 1
    except OSError as error:
        click.echo(f"holdfast: {cannot_listen(settings.server.host, settings.server.port, error)}", err=True)
        return 1
    log = Log(settings.log.format, settings.log.level, writer=PlainWriter)
    log_findings(loaded, log)

    def work(seat: Seat) -> int:
        log.close()
        return run(_work(seat, settings, loaded, source))

    def act(seat: Seat, known: Ports | None) -> int:
        log.close()
        return run(play(seat, known))

    def ready() -> None:
        log.info("listening", url=where(settings, inherited, port), version=__version__,
                 routes=len(settings.routes), pid=os.getpid(), workers=workers)  # fmt: skip

    # What the workers are copies of stays where it is, so that they share it.
    gc.collect()
    gc.freeze()
    code = Supervisor(sockets, work, act, log, notifier, ready, on_terminal=on_terminal).run()
    if code:
        click.echo("holdfast: every worker ended as soon as it was started; the lines above say why", err=True)
    log.info("stopped")
    log.close()
    claim.close()
    return code


def _sockets(settings: Settings, inherited: Sequence[socket.socket], workers: int) -> tuple[list[Listening], int]:
    if not inherited:
        return bound(settings.server.host, settings.server.port, workers)
    name = inherited[0].getsockname()
    return shared(inherited, workers), int(name[1]) if isinstance(name, tuple) else 0


async def _work(seat: Seat, settings: Settings, loaded: Loaded, source: Source) -> int:
    """One worker, until it is told to stop; the exit code."""
    ending = Ending()
    log = Log(settings.log.format, settings.log.level, worker=seat.number)
    proxy = Worker(
        seat,
        settings,
        ending.tell,
        lambda taken: log.change(taken.log.format, taken.log.level),
        config=loaded.masked,
        listeners=(log,),
        source=source,
        told=lambda reload: tell_reload(reload, log),
    )
    starting = asyncio.create_task(proxy.start(), name="start")
    stopped = asyncio.create_task(ending.wanted.wait(), name="stop")
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # Nobody has been answered yet.
        log.close()
        return 0
    stopped.cancel()
    try:
        await starting
    except OSError as error:
        log.warning("cannot start", problem=str(error))
        log.close()
        return 1
    heap.settle()
    await ending.wanted.wait()
    proxy.lifecycle.leaving = proxy.lifecycle.leaving or not proxy.all_end
    await stop_without_breaking(proxy, ending.at_once, log)
    log.close()
    return 0
