"""What the commands that change something do: find the deployment, ask for the change, tell what came of it."""

from __future__ import annotations

import json
from typing import Any

import click

from proxy.cli.calling import ControlPlane, find, path_of
from proxy.cli.words import span, subject, words
from proxy.config.finding import printable

_PROBE_PATIENCE_S = 180.0


def change(plane: ControlPlane, name: str, action: str, body: dict[str, Any], *, as_json: bool) -> None:
    """Change one deployment, and tell what changed."""
    deployment = find(name, list(plane.deployments()))
    reply = plane.post(f"{path_of(deployment)}/{action}", _given(body))
    if as_json:
        click.echo(json.dumps(reply, indent=2))
        return
    _tell(reply)
    now = reply["deployment"]
    why = f": {printable(str(now['reason']))}" if now.get("reason") else ""
    click.echo(f"now {printable(str(now['status']))}{why}")


def reset_all(plane: ControlPlane, reason: str | None, *, as_json: bool) -> None:
    """Reset every deployment, and tell what changed."""
    reply = plane.post("/breakers/reset", _given({"reason": reason}))
    if as_json:
        click.echo(json.dumps(reply, indent=2))
    else:
        _tell(reply)


def probe_now(plane: ControlPlane, name: str, reason: str | None, *, as_json: bool) -> bool:
    """Have a deployment probed; whether it answered well."""
    deployment = find(name, list(plane.deployments()))
    reply = plane.post(f"{path_of(deployment)}/probe", _given({"reason": reason}), _PROBE_PATIENCE_S)
    good = bool(reply["outcome"] == "ok")
    if as_json:
        click.echo(json.dumps(reply, indent=2))
        return good
    took = span(reply["duration_s"])
    said = f": {printable(str(reply['message']))}" if reply.get("message") else ""
    shown = f"answered well in {took}" if good else f"{printable(str(reply['outcome']))} after {took}{said}"
    click.echo(f"{printable(deployment)}  {shown}")
    return good


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None or name == "value"}


def _tell(reply: dict[str, Any]) -> None:
    for event in reply["changed"]:
        click.echo(f"{subject(event)}  {words(event)}")
