"""holdfast weight."""

from __future__ import annotations

import math

import click

from proxy.cli.options import control_options, for_option, reason_option
from proxy.cli.phrases import examples


def _weight(_context: click.Context, _parameter: click.Parameter, given: str) -> float | None:
    if given == "default":
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise click.BadParameter(f"{given!r} is no weight; give a number from 0 on, or `default`")
    return value


@click.command(epilog=examples("holdfast weight openai/gpt-5.1 0.5 --for 1h", "holdfast weight openai default"))
@click.argument("name")
@click.argument("value", callback=_weight)
@for_option
@reason_option
@control_options
def weight(
    name: str, value: float | None, duration: float | None, reason: str | None, url: str, key: str | None, as_json: bool
) -> None:
    """Set a deployment's weight on weighted routes, or take it back with `default`.

    NAME is upstream/model, the beginning of one, or an upstream with one model. With 0 it only stands in for others.
    """
    if value is None and duration is not None:
        raise click.UsageError("--for means nothing to `default`, which takes the weight back at once")
    from proxy.cli.calling import ControlPlane
    from proxy.cli.changing import change

    body = {"value": value, "reason": reason, "for": duration}
    change(ControlPlane(url, key), name, "weight", body, as_json=as_json)
