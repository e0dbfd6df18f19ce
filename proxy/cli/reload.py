"""holdfast reload."""

from __future__ import annotations

import click

from proxy.cli.options import control_options, reason_option
from proxy.cli.phrases import examples


@click.command(epilog=examples("holdfast reload", "holdfast reload --url http://10.0.0.5:8400 --json"))
@reason_option
@control_options
def reload(reason: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Have a running proxy read its routes.yaml again.

    All of the file takes effect at once, for the requests that come from then on; those under way finish as they began.
    With an error in it nothing changes: the findings are printed as `holdfast check` does, and the exit code is 1. What
    takes effect at a restart only is said so.
    """
    import json
    import sys

    from proxy.cli.calling import ControlPlane
    from proxy.cli.loading import count
    from proxy.cli.words import span
    from proxy.config.finding import printable

    body = {} if reason is None else {"reason": reason}
    told = ControlPlane(url, key).post("/reload", body, also=(422,))
    good = told.get("outcome") == "ok"
    if as_json:
        click.echo(json.dumps(told, indent=2))
        sys.exit(0 if good else 1)
    for finding in told["findings"]:
        # Each line is printable already, but for what a stranger at this address may send.
        click.echo("\n".join(map(printable, str(finding["text"]).split("\n"))))
    numbers = ", ".join(count(told[f"{kind}s"], kind) for kind in ("error", "warning"))
    if good:
        click.echo(f"reloaded in {span(told['duration_s'])}: {numbers}")
    else:
        click.echo(f"not reloaded, the proxy goes on as before: {numbers}")
    sys.exit(0 if good else 1)
