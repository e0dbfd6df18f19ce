"""holdfast fault."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

import click

from proxy.cli.common import fail, url_option


@click.command(
    epilog="Examples:\n\n  holdfast fault primary 503\n\n  holdfast fault primary cut:after=9\n\n"
    "  holdfast fault primary off"
)
@click.argument("upstream")
@click.argument("fault")
@url_option
@click.option("--key", envvar="HOLDFAST_ADMIN_KEY", help="The control plane's key, where it has one.")
def fault(upstream: str, fault: str, url: str, key: str | None) -> None:
    """Inject a fault into a simulated upstream of a running proxy, or heal it with `off`.

    Works on upstreams of kind `simulated` that run within the proxy, as in `holdfast demo`.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    status = _call("GET", f"{url.rstrip('/')}/admin/v1/status", headers, None)
    simulator = status.get("simulator")
    if not simulator:
        fail("this proxy runs no simulated upstreams; try it with: holdfast demo")
    body = {"fault": None if fault == "off" else fault}
    _call("PUT", f"{simulator}/upstreams/{upstream}/fault", {}, body)
    click.echo(f"{upstream}: {'healthy' if fault == 'off' else fault}")
    sys.exit(0)


def _call(method: str, url: str, headers: dict[str, str], body: dict[str, Any] | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "content-type": "application/json"}, method=method)  # noqa: S310 - http, by the user's own hand
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - as above
            return json.load(response)
    except urllib.error.HTTPError as error:
        fail(_message(error.read()))
    except (OSError, ValueError):
        fail(f"nobody listens at {url}; start it with: holdfast demo")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
