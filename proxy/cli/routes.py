"""holdfast routes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from proxy.cli.common import config_option, load_or_exit


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def routes(path: Path, as_json: bool) -> None:
    """List the routes and their chains, as configured."""
    _, settings = load_or_exit(path)
    listed = [
        {
            "route": route.name,
            "deadline_s": route.deadline,
            "chain": [
                {"deployment": f"{step.upstream}/{step.model}", "skipped": step.unusable} for step in route.steps
            ],
        }
        for route in settings.routes.values()
    ]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
        return
    width = max(len(name) for name in settings.routes)
    for route in settings.routes.values():
        chain = " > ".join(
            f"{step.upstream}/{step.model}" + ("" if step.unusable is None else " (skipped)") for step in route.steps
        )
        click.echo(f"{route.name:<{width}}  {chain}")
