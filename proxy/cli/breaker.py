"""holdfast breaker."""

from __future__ import annotations

import click

from proxy.cli.options import control_options, for_option, reason_option
from proxy.cli.phrases import examples


@click.command(
    epilog=examples(
        "holdfast breaker open openai/gpt-5.1 --for 10m --reason maintenance",
        "holdfast breaker close openai",
        "holdfast breaker reset --all",
    )
)
@click.argument("action", type=click.Choice(["open", "close", "reset"]))
@click.argument("name", required=False)
@click.option("--all", "everywhere", is_flag=True, help="Of reset: every deployment.")
@for_option
@reason_option
@control_options
def breaker(
    action: str,
    name: str | None,
    everywhere: bool,
    duration: float | None,
    reason: str | None,
    url: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Open, close or reset a deployment's breaker.

    An open breaker keeps requests away; when --for is over, it is tried carefully, as after any opening. One that is
    closed by hand stays closed for the time of --for, whatever fails. Reset forgets all trouble: breakers, rests,
    ejections, and what operators ordered. NAME is upstream/model, the beginning of one, or an upstream with one model.
    """
    if everywhere and (action != "reset" or name is not None):
        raise click.UsageError("--all is for reset, and without a NAME")
    if not everywhere and name is None:
        raise click.UsageError("which deployment? give a NAME" + (", or --all" if action == "reset" else ""))
    if action == "reset" and duration is not None:
        raise click.UsageError("--for means nothing to reset, which happens at once")
    from proxy.cli.calling import ControlPlane
    from proxy.cli.changing import change, reset_all

    plane = ControlPlane(url, key)
    if name is None:
        reset_all(plane, reason, as_json=as_json)
    else:
        change(plane, name, action, {"reason": reason, "for": duration}, as_json=as_json)
