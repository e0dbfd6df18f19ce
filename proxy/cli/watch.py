"""holdfast watch."""

from __future__ import annotations

import sys

import click

from proxy.cli.options import control_options
from proxy.cli.phrases import examples


def _types(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    from difflib import get_close_matches
    from typing import get_args

    from proxy.core.event import Happening

    known = {event.__name__.casefold(): event.__name__ for event in get_args(Happening)}
    names = [name.strip() for each in given for name in each.split(",") if name.strip()]
    for name in names:
        if name.casefold() not in known:
            near = get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
            hint = f"did you mean {known[near[0]]!r}?" if near else f"there are {', '.join(known.values())}"
            raise click.BadParameter(f"no event is named {name!r}; {hint}")
    return tuple(known[name.casefold()] for name in names)


@click.command(
    epilog=examples(
        "holdfast watch", "holdfast watch --types BreakerChanged,Rested,Controlled", "holdfast watch --json | jq ."
    )
)
@click.option("--types", metavar="NAMES", multiple=True, callback=_types, help="Only these kinds of events.")
@control_options
def watch(types: tuple[str, ...], url: str, key: str | None, as_json: bool) -> None:
    """Follow what a running proxy does: one line per event, until Ctrl-C.

    A connection that breaks is made again, and what happened meanwhile is told then. --json prints a line of JSON each.
    """
    from proxy.cli.loop import run
    from proxy.cli.watching import watch_until_told

    sys.exit(run(watch_until_told(url, key, types, as_json=as_json)))
