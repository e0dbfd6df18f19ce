"""holdfast disable."""

from __future__ import annotations

import click

from proxy.cli.options import control_options, for_option, reason_option
from proxy.cli.phrases import examples


@click.command(epilog=examples("holdfast disable local", "holdfast disable openai/gpt-5.1 --for 1h --reason cost"))
@click.argument("name")
@for_option
@reason_option
@control_options
def disable(name: str, duration: float | None, reason: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Let no new request to a deployment, and do not even probe it.

    It lasts until `enable`, or for the time of --for. NAME is upstream/model, the beginning of one, or an upstream with
    one model.
    """
    from proxy.cli.calling import ControlPlane
    from proxy.cli.changing import change

    change(ControlPlane(url, key), name, "disable", {"reason": reason, "for": duration}, as_json=as_json)
