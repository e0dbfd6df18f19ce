"""What `holdfast simulate` does: listen, say where, and stop."""

from __future__ import annotations

import json

import click

from proxy.cli.loop import told_to_stop
from proxy.simulator.server import Simulator


async def simulate_until_told(
    simulator: Simulator, ports: dict[str, int], control_port: int, faults: dict[str, str | None], *, as_json: bool
) -> int:
    """Play the upstreams until a signal; the exit code."""
    stop = told_to_stop()
    try:
        await simulator.start(ports, control_port)
    except OSError as error:
        wanted = ", ".join(map(str, sorted({control_port, *ports.values()} - {0})))
        why = error.strerror or str(error)
        click.echo(f"holdfast: cannot have ports {wanted}: {why}; choose others with --port", err=True)
        return 1
    try:
        for name, fault in faults.items():
            await simulator.inject(name, fault)
        click.echo(_as_json(simulator) if as_json else _as_text(simulator))
        await stop.wait()
    finally:
        await simulator.close()
    return 0


def _as_json(simulator: Simulator) -> str:
    upstreams = {
        name: {"base_url": upstream.base_url, "fault": str(upstream.fault) if upstream.fault else None}
        for name, upstream in simulator.upstreams.items()
    }
    return json.dumps({"upstreams": upstreams, "control": simulator.control_url})


def _as_text(simulator: Simulator) -> str:
    width = max(len("control"), *map(len, simulator.upstreams))
    lines = [
        f"{name:<{width}}  {upstream.base_url}  {upstream.fault or 'healthy'}"
        for name, upstream in simulator.upstreams.items()
    ]
    return "\n".join(
        [*lines, f"{'control':<{width}}  {simulator.control_url}  (GET /faults lists what can be injected)"]
    )
