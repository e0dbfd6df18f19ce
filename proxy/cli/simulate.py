"""holdfast simulate."""

from __future__ import annotations

import asyncio
import signal
import sys

import click

from proxy.cli.loop import run


@click.command(
    epilog="Examples:\n\n  holdfast simulate --port 9001 --upstream primary --upstream backup\n\n"
    '  curl -X PUT http://127.0.0.1:9000/upstreams/primary/fault -d \'{"fault": "stall", "after": 9}\''
)
@click.option("--port", default=9001, show_default=True, type=click.IntRange(1, 65000), help="Of the first upstream.")
@click.option("--control-port", type=click.IntRange(1, 65535), help="Where faults are switched. [default: --port - 1]")
@click.option("--upstream", "names", multiple=True, default=("primary", "backup"), help="A name; may be repeated.")
@click.option("--fault", "faults", multiple=True, metavar="NAME=FAULT", help="Start with a fault: primary=cut:after=9.")
@click.option("--seed", default=0, show_default=True, help="Of words and of luck: the same seed, the same run.")
@click.option("--tokens-per-second", default=50.0, show_default=True, help="Pace of streams; 0 is as fast as can be.")
def simulate(
    port: int,
    control_port: int | None,
    names: tuple[str, ...],
    faults: tuple[str, ...],
    seed: int,
    tokens_per_second: float,
) -> None:
    """Run simulated upstreams with faults to inject, for tests and drills of your own.

    Each upstream has a port of its own, counted up from --port. GET /faults on the control port lists the faults.
    """
    from proxy.simulator.faults import parse_fault

    wanted = dict(_fault(entry, names) for entry in faults)
    for spec in wanted.values():
        try:
            parse_fault(spec)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    ports = {name: port + place for place, name in enumerate(names)}
    sys.exit(run(_simulate(ports, control_port or port - 1, wanted, seed, tokens_per_second)))


def _fault(entry: str, names: tuple[str, ...]) -> tuple[str, str]:
    name, equals, spec = entry.partition("=")
    if not equals or name not in names:
        raise click.UsageError(f"--fault {entry}: write NAME=FAULT, with one of the upstreams {', '.join(names)}")
    return name, spec


async def _simulate(ports: dict[str, int], control_port: int, faults: dict[str, str], seed: int, pace: float) -> int:
    from proxy.simulator.server import Simulator

    simulator = Simulator(tuple(ports), seed=seed, tokens_per_second=pace)
    try:
        await simulator.start(ports, control_port)
    except OSError as error:
        click.echo(f"holdfast: {error.strerror}: choose other ports with --port and --control-port", err=True)
        return 1
    for name, fault in faults.items():
        await simulator.inject(name, fault)
    for name in ports:
        click.echo(f"{name}  {simulator.base_url(name)}  {faults.get(name, 'healthy')}")
    click.echo(f"control  {simulator.control_url}  (GET /faults lists what can be injected)")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await simulator.close()
    return 0
