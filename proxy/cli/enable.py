"""holdfast enable."""

from __future__ import annotations

import click

from proxy.cli.options import control_options, reason_option
from proxy.cli.phrases import examples


@click.command(epilog=examples("holdfast enable local", "holdfast enable openai/gpt-5.1"))
@click.argument("name")
@reason_option
@control_options
def enable(name: str, reason: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Take back a drain or a disable.

    NAME is upstream/model, the beginning of one, or an upstream with one model.
    """
    from proxy.cli.calling import ControlPlane
    from proxy.cli.changing import change

    change(ControlPlane(url, key), name, "enable", {"reason": reason}, as_json=as_json)
