"""holdfast drain."""

from __future__ import annotations

import click

from proxy.cli.options import control_options, for_option, reason_option
from proxy.cli.phrases import examples


@click.command(epilog=examples("holdfast drain local", "holdfast drain openai/gpt-5.1 --for 1h --reason upgrade"))
@click.argument("name")
@for_option
@reason_option
@control_options
def drain(name: str, duration: float | None, reason: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Let no new request to a deployment, while those under way finish and probes go on.

    It lasts until `enable`, or for the time of --for. NAME is upstream/model, the beginning of one, or an upstream with
    one model.
    """
    from proxy.cli.calling import ControlPlane
    from proxy.cli.changing import change

    change(ControlPlane(url, key), name, "drain", {"reason": reason, "for": duration}, as_json=as_json)
