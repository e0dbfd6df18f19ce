"""holdfast serve."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from proxy.cli.common import config_option, examples, fail


@click.command(epilog=examples("holdfast serve", "holdfast serve -c prod.yaml --port 9000"))
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
def serve(path: Path, host: str | None, port: int | None, log_format: str | None, log_level: str | None) -> None:
    """Run the proxy until it is told to stop.

    SIGTERM or Ctrl-C finishes running answers first; a second one ends them at once. A change of the file takes effect
    by itself, and at `holdfast reload` or SIGHUP; with an error in it, everything stays as it was.
    """
    from proxy.cli.loading import load_or_exit
    from proxy.config.meaning import is_loopback
    from proxy.config.settings import Settings
    from proxy.control.source import Source

    def adjust(settings: Settings) -> Settings:
        """What the command line says holds, whatever the file says later on."""
        server = replace(
            settings.server, host=host or settings.server.host, port=settings.server.port if port is None else port
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

    sys.exit(run(serve_until_told(adjust(settings), loaded, source)))
