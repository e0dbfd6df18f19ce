"""holdfast schema."""

from __future__ import annotations

import json

import click

from proxy.cli.phrases import examples


@click.command(epilog=examples("holdfast schema > routes.schema.json"))
def schema() -> None:
    """Print the JSON Schema of routes.yaml, for editors and other tools."""
    from proxy.config.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
