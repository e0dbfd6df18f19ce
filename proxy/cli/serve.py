"""holdfast serve."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from proxy.cli.options import config_option
from proxy.cli.phrases import examples, fail
from proxy.config.units import AUTO, MOST_WORKERS, UnitError, parse_workers


def _workers(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_workers(value)
    except UnitError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command(
    epilog=examples("holdfast serve", "holdfast serve -c prod.yaml --port 9000", "holdfast serve --workers auto")
)
@config_option
@click.option(
    "--host", envvar=["HOLDFAST_HOST", "HOST"], show_envvar=True, help="Where to listen, instead of server.host."
)
@click.option(
    "--port",
    envvar=["HOLDFAST_PORT", "PORT"],
    show_envvar=True,
    type=click.IntRange(0, 65535),
    help="Where to listen, instead of server.port; 0 is any free port.",
)
@click.option(
    "--workers",
    envvar="HOLDFAST_WORKERS",
    show_envvar=True,
    metavar="N|auto",
    callback=_workers,
    help="How many processes serve, instead of server.workers; auto is one per core.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "json"]),
    envvar="HOLDFAST_LOG_FORMAT",
    show_envvar=True,
    help="Instead of telemetry.log.format; auto is text on a terminal.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    envvar="HOLDFAST_LOG_LEVEL",
    show_envvar=True,
    help="Instead of telemetry.log.level.",
)
def serve(
    path: Path,
    host: str | None,
    port: int | None,
    workers: int | None,
    log_format: str | None,
    log_level: str | None,
) -> None:
    """Run the proxy until it is told to stop.

    SIGTERM or Ctrl-C finishes running answers first; a second one ends them at once. A change of the file takes effect
    by itself, and at `holdfast reload` or SIGHUP; with an error in it, everything stays as it was.
    """
    from proxy.cli.loading import load_or_exit
    from proxy.config.settings import Settings
    from proxy.control.source import Source
    from proxy.core.hosts import is_loopback

    def adjust(settings: Settings) -> Settings:
        """What the command line says holds, whatever the file says later on."""
        server = replace(
            settings.server,
            host=host or settings.server.host,
            port=settings.server.port if port is None else port,
            workers=settings.server.workers if workers is None else workers,
        )
        log = replace(settings.log, format=log_format or settings.log.format, level=log_level or settings.log.level)
        return replace(settings, server=server, log=log)

    source = Source(path, os.environ, adjust)
    loaded, settings = load_or_exit(path, source.load)
    if host and not is_loopback(host) and settings.clients is None:
        given = click.get_current_context().get_parameter_source("host")
        named = f"--host {host}" if given is click.core.ParameterSource.COMMANDLINE else f"HOST={host} (environment)"
        fail(f'{named} lets anyone in; first say in {path} who may call: clients: [{{name: me, key: "${{MY_KEY}}"}}]')
    from proxy.cli.loop import run

    # Imported here, so that a bad file is reported before half a second of imports.
    from proxy.cli.serving import serve_until_told

    wanted = adjust(settings)
    count = how_many(wanted.server.workers)
    if count == 1:
        sys.exit(run(serve_until_told(wanted, loaded, source)))
    if not hasattr(os, "fork"):
        fail("several workers need a system that can fork, such as Linux or macOS; here, use --workers 1")
    from proxy.cli.supervising import supervise

    sys.exit(supervise(wanted, loaded, source, count))


def how_many(workers: int) -> int:
    """How many workers are meant: for `auto`, one for each core that this process may use."""
    if workers != AUTO:
        return workers
    able = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(len(able), MOST_WORKERS)
