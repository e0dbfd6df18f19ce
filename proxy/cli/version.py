"""holdfast version."""

from __future__ import annotations

import json
import platform

import click

from proxy import __version__
from proxy.cli.options import json_option


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        click.echo(json.dumps({"holdfast": __version__, "python": platform.python_version()}))
    else:
        click.echo(f"holdfast {__version__} (Python {platform.python_version()})")
