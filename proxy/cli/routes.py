"""holdfast routes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from proxy.cli.options import config_option, json_option
from proxy.cli.phrases import examples, me


@click.command(epilog=examples("holdfast routes", "holdfast routes -c prod.yaml --json"))
@config_option
@json_option
def routes(path: Path, as_json: bool) -> None:
    """List the routes and their chains, in the order in which they are tried."""
    from proxy.cli.loading import load_or_exit, mention_warnings

    loaded, settings = load_or_exit(path)
    chains = {
        route.name: [(f"{step.upstream}/{step.model}", step.unusable) for step in route.steps]
        for route in settings.routes.values()
    }
    if as_json:
        listed = [
            {
                "route": name,
                "deadline_s": settings.routes[name].deadline,
                "chain": [{"deployment": deployment, "skipped": why} for deployment, why in chain],
            }
            for name, chain in chains.items()
        ]
        click.echo(json.dumps(listed, indent=2))
        return
    width = max(len(name) for name in chains)
    for name, chain in chains.items():
        shown = " > ".join(deployment if why is None else f"({deployment})" for deployment, why in chain)
        click.echo(f"{name:<{width}}  {shown}")
    if any(why is not None for chain in chains.values() for _, why in chain):
        click.echo(f"In parentheses: skipped. Why: {me()} explain --model ROUTE", err=True)
    mention_warnings(path, loaded)
