"""holdfast explain."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from proxy.cli.options import config_option, json_option
from proxy.cli.phrases import examples, fail, me
from proxy.config.settings import RouteSettings, Settings
from proxy.routing.explain import Explanation
from proxy.routing.plan import Plan


@click.command(epilog=examples("holdfast explain --model default", "holdfast explain --model gpt-4o --down openai"))
@config_option
@click.option("--model", required=True, help="What a client would put in `model`.")
@click.option("--down", multiple=True, metavar="NAME", help="Take an upstream, or upstream/model, as failing.")
@json_option
def explain(path: Path, model: str, down: tuple[str, ...], as_json: bool) -> None:
    """Say which deployment would serve a model, why each other would not, and what a failure would cost.

    Sends nothing. Exits 1 when nobody would serve. --down may be repeated.
    """
    from proxy.cli.loading import load_or_exit
    from proxy.config.resolve import find_route, nearest_route

    _, settings = load_or_exit(path)
    route = find_route(settings, model)
    if route is None:
        near = nearest_route(settings, model)
        fail(f"no route serves {model!r}" + (f"; did you mean {near!r}?" if near else f"; see {me()} routes"))
    upstreams = list(dict.fromkeys(step.upstream for step in route.steps))
    known = {*upstreams, *(f"{step.upstream}/{step.model.replace('*', model)}" for step in route.steps)}
    for name in down:
        if name not in known:
            raise click.UsageError(f"--down {name}: the chain has no such upstream; it has {', '.join(upstreams)}")
    plan, explained = _explained(settings, route, model, down)
    if as_json:
        from proxy.cli.explaining import habits_document

        click.echo(json.dumps({**explained.as_document(), **habits_document(plan)}, indent=2))
    else:
        _print(model, plan, explained)
    sys.exit(0 if any(step.serves for step in explained.steps) else 1)


def _explained(settings: Settings, route: RouteSettings, model: str, down: tuple[str, ...]) -> tuple[Plan, Explanation]:
    from dataclasses import replace

    from proxy.cli.explaining import as_drawn, if_all_fail
    from proxy.pool.pool import Pool
    from proxy.pool.snapshot import threshold
    from proxy.routing.explain import explain as explain_plan
    from proxy.routing.plan import Wishes, make_plan

    pool = Pool({name: len(upstream.keys) for name, upstream in settings.upstreams.items()})
    plan = make_plan(settings, route, model, Wishes(), 0.0)
    standings = [pool.standing(step.deployment, step.rules, 0.0) for step in plan.steps]
    breakers = [threshold(pool, step.deployment, step.rules, 0.0) for step in plan.steps]
    explained = explain_plan(plan, standings, 0.0, down, breakers)
    steps = as_drawn(plan, explained.steps)
    # They come as usable first, then skipped; people know the chain in the order of the file.
    places = [*(step.place for step in plan.steps), *(skipped.place for skipped in plan.skipped)]
    in_order = sorted(zip(places, steps, strict=True), key=lambda placed: placed[0])
    return plan, replace(explained, steps=tuple(step for _, step in in_order), if_all_fail=if_all_fail(plan))


def _print(model: str, plan: Plan, explained: Explanation) -> None:
    from proxy.cli.explaining import habits

    click.echo(f"{model}: route {explained.route}, answered within {explained.deadline:g} s")
    width = max(len(str(step.deployment)) for step in explained.steps)
    for step in explained.steps:
        mark = "->" if step.serves else "  " if step.usable else " x"
        click.echo(f" {mark} {step.deployment!s:<{width}}  {step.why}")
    for line in habits(plan):
        click.echo(line)
    if any(step.serves for step in explained.steps):
        click.echo(f"{explained.if_it_breaks[0].upper()}{explained.if_it_breaks[1:]}.")
        click.echo(f"If all fail, {explained.if_all_fail}.")
    else:
        click.echo(f"Nobody would serve: {explained.if_all_fail}.")
