"""holdfast simulate."""

from __future__ import annotations

import sys

import click

from proxy.cli.fault import checked_fault
from proxy.cli.options import json_option
from proxy.cli.phrases import examples


@click.command(
    epilog=examples(
        "holdfast simulate --upstream primary --upstream backup --fault primary=cut:after=9",
        'curl -X PUT http://127.0.0.1:9000/upstreams/primary/fault -d \'{"fault": "stall", "after": 9}\'',
    )
)
@click.option(
    "--port",
    default=9001,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Of the first upstream; 0 is any free port for each.",
)
@click.option("--control-port", type=click.IntRange(0, 65535), help="Where faults are switched. [default: --port - 1]")
@click.option("--upstream", "names", multiple=True, default=("primary", "backup"), help="A name; may be repeated.")
@click.option("--fault", "faults", multiple=True, metavar="NAME=FAULT", help="Start with a fault; may be repeated.")
@click.option("--seed", default=0, show_default=True, help="Of words and of luck: the same seed, the same run.")
@click.option(
    "--tokens-per-second",
    default=50.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Pace of streams; 0 is as fast as can be.",
)
@json_option
def simulate(
    port: int,
    control_port: int | None,
    names: tuple[str, ...],
    faults: tuple[str, ...],
    seed: int,
    tokens_per_second: float,
    as_json: bool,
) -> None:
    """Run simulated upstreams with faults to inject, for tests and drills of your own.

    Each upstream has a port of its own, counted up from --port. GET /faults on the control port lists the faults.
    """
    ports = _ports(names, port)
    control = max(port - 1, 0) if control_port is None else control_port
    if control and control in ports.values():
        raise click.UsageError(f"--control-port {control} is an upstream's; theirs are {port} to {max(ports.values())}")
    wanted = dict(_fault(entry, names) for entry in faults)
    from proxy.cli.loop import run
    from proxy.cli.simulating import simulate_until_told
    from proxy.simulator.server import Simulator

    simulator = Simulator(names, seed=seed, tokens_per_second=tokens_per_second)
    sys.exit(run(simulate_until_told(simulator, ports, control, wanted, as_json=as_json)))


def _ports(names: tuple[str, ...], first: int) -> dict[str, int]:
    if len(set(names)) != len(names) or not all(names):
        raise click.UsageError(f"--upstream: names must differ from each other; got {', '.join(map(repr, names))}")
    if first + len(names) - 1 > 65535:
        raise click.UsageError(f"--port {first} leaves no room for {len(names)} ports; the highest is 65535")
    return {name: first + place if first else 0 for place, name in enumerate(names)}


def _fault(entry: str, names: tuple[str, ...]) -> tuple[str, str | None]:
    name, equals, spec = entry.partition("=")
    if not equals or name not in names:
        raise click.UsageError(f"--fault {entry}: write NAME=FAULT, with one of the upstreams {', '.join(names)}")
    return name, checked_fault(spec)
