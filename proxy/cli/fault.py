"""holdfast fault."""

from __future__ import annotations

import json
from urllib.parse import quote

import click

from proxy.cli.calling import ControlPlane, NobodyError, call
from proxy.cli.options import json_option, key_option, url_option
from proxy.cli.phrases import examples, fail, me


def _list_faults(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from proxy.simulator.faults import FAULTS

    width = max(map(len, FAULTS))
    for name, row in FAULTS.items():
        parameters = f" ({', '.join(row.parameters)})" if row.parameters else ""
        click.echo(f"{name:<{width}}  {row.summary}{parameters}")
    context.exit(0)


@click.command(
    epilog=examples("holdfast fault primary 503", "holdfast fault primary cut:after=9", "holdfast fault --list")
)
@click.argument("upstream")
@click.argument("fault")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_faults, help="List the faults.")
@url_option
@key_option("HOLDFAST_ADMIN_KEY", "The control plane's key, where it has one.")
@json_option
def fault(upstream: str, fault: str, url: str, key: str | None, as_json: bool) -> None:
    """Inject a fault into a simulated upstream of a running proxy, or heal it with `off`.

    Works on upstreams of kind `simulated` that run within the proxy, as in the demo.
    """
    wanted = checked_fault(fault)
    simulator = _simulator(url, key)
    try:
        call("PUT", f"{simulator}/upstreams/{quote(upstream, safe='')}/fault", {}, {"fault": wanted})
    except NobodyError:
        fail(f"the simulator at {simulator} takes faults only from the machine that it runs on")
    if as_json:
        click.echo(json.dumps({"upstream": upstream, "fault": wanted}))
    else:
        click.echo(f"{upstream}: {wanted or 'healthy'}")


def checked_fault(spec: str) -> str | None:
    """A fault as the simulator takes it, None for `off`. Raises click's error for one that does not exist."""
    from proxy.simulator.faults import parse_fault

    if spec == "off":
        return None
    try:
        parse_fault(spec)
    except ValueError as error:
        message, known, _ = str(error).partition("; known: ")
        all_of_them = known and message.startswith("unknown fault")
        raise click.UsageError(f"{message}; all: {me()} fault --list" if all_of_them else str(error)) from None
    return spec


def _simulator(url: str, key: str | None) -> str:
    """Where the simulator of a running proxy takes faults."""
    status = ControlPlane(url, key, start_with="demo").get("/status")
    if "simulator" not in status:
        fail(f"{url} does not answer as Holdfast does; say where it is with --url")
    if not status["simulator"]:
        fail(f"the proxy at {url} runs no simulated upstreams; try it with: {me()} demo")
    return str(status["simulator"])
