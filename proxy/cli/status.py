"""holdfast status."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from proxy.cli.options import control_options
from proxy.cli.phrases import examples, fail


@click.command(epilog=examples("holdfast status", "holdfast status openai/gpt-5.1", "holdfast status --json"))
@click.argument("name", required=False)
@control_options
def status(name: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Show a running proxy's routes and deployments at a glance, or all about one deployment.

    Exits 1 when a route, or the deployment, is unavailable. NAME is upstream/model, the beginning of one, or an
    upstream with one model. p50 and p95 are of whole answers.
    """
    from proxy.cli.calling import ControlPlane

    plane = ControlPlane(url, key)
    seen = plane.get("/status")
    if not isinstance(seen.get("routes"), list):
        fail(f"{url} does not answer as Holdfast does; say where it is with --url")
    sys.exit(_one(plane.deployments(), seen, name, as_json) if name else _all(seen, as_json))


def _all(seen: dict[str, Any], as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(seen, indent=2))
    else:
        from proxy.cli.status_table import print_table

        print_table(seen)
    return 1 if any(route["status"] == "unavailable" for route in seen["routes"]) else 0


def _one(known: dict[str, dict[str, Any]], seen: dict[str, Any], name: str, as_json: bool) -> int:
    from proxy.cli.calling import find
    from proxy.cli.status_one import print_one

    deployment = known[find(name, list(known))]
    if as_json:
        click.echo(json.dumps(deployment, indent=2))
    else:
        print_one(deployment, seen)
    return 0 if deployment["status"] in {"available", "degraded"} else 1
