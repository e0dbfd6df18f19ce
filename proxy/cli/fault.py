"""holdfast fault."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

import click

from proxy.cli.common import examples, fail, json_option, key_option, me, nobody_listens, url_option


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
        _call("PUT", f"{simulator}/upstreams/{quote(upstream, safe='')}/fault", {}, {"fault": wanted})
    except _NobodyError:
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


class _NobodyError(Exception):
    """Nothing listens there."""


def _simulator(url: str, key: str | None) -> str:
    """Where the simulator of a running proxy takes faults."""
    try:
        status = _call("GET", f"{url}/admin/v1/status", {"Authorization": f"Bearer {key}"} if key else {}, None)
    except _NobodyError:
        fail(nobody_listens(url, "demo"))
    if not isinstance(status, dict) or "simulator" not in status:
        fail(f"{url} does not answer as Holdfast does; say where it is with --url")
    if not status["simulator"]:
        fail(f"the proxy at {url} runs no simulated upstreams; try it with: {me()} demo")
    return str(status["simulator"])


def _call(method: str, url: str, headers: dict[str, str], body: dict[str, Any] | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "content-type": "application/json"}, method=method)  # noqa: S310 - url_option takes http and https only
    # Without the proxies of the environment: what we call is nearly always on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        cure = "; here: --key or HOLDFAST_ADMIN_KEY" if error.code == 401 else ""
        fail(f"{_message(error.read(), error.code)}{cure}")
    except (ValueError, http.client.HTTPException):
        return None
    except OSError:
        raise _NobodyError from None


def _message(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["error"]["message"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return f"it answers with HTTP {status}, not as Holdfast does; say where Holdfast is with --url"
