"""holdfast probe."""

from __future__ import annotations

import sys

import click

from proxy.cli.options import control_options, reason_option
from proxy.cli.phrases import examples


@click.command(epilog=examples("holdfast probe local", "holdfast probe openai/gpt-5.1 --json"))
@click.argument("name")
@reason_option
@control_options
def probe(name: str, reason: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Have a deployment asked a test prompt now. Exits 1 when it does not answer well.

    The answer counts: it can close a breaker, and end a rest. NAME is upstream/model, the beginning of one, or an
    upstream with one model.
    """
    from proxy.cli.calling import ControlPlane
    from proxy.cli.changing import probe_now

    sys.exit(0 if probe_now(ControlPlane(url, key), name, reason, as_json=as_json) else 1)
