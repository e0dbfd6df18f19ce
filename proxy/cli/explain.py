"""holdfast explain."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from proxy.cli.common import config_option, examples, fail, json_option, me
from proxy.config.resolve import RouteSettings, Settings
from proxy.routing.explain import Explanation


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
    explained = _explained(settings, route, model, down)
    if as_json:
        shown = {"route": explained.route, "deadline_s": explained.deadline}
        listed = [{**step._asdict(), "deployment": str(step.deployment)} for step in explained.steps]
        click.echo(json.dumps({**shown, "steps": listed, "if_all_fail": explained.if_all_fail}, indent=2))
    else:
        _print(model, explained)
    sys.exit(0 if any(step.serves for step in explained.steps) else 1)


def _explained(settings: Settings, route: RouteSettings, model: str, down: tuple[str, ...]) -> Explanation:
    from dataclasses import replace

    from proxy.pool.pool import Pool
    from proxy.routing.explain import explain as explain_plan
    from proxy.routing.plan import Wishes, make_plan

    pool = Pool({name: len(upstream.keys) for name, upstream in settings.upstreams.items()})
    plan = make_plan(settings, route, model, Wishes(), 0.0)
    explained = explain_plan(plan, [pool.standing(step.deployment, 0.0) for step in plan.steps], 0.0, down)
    # They come as usable first, then skipped; people know the chain in the order of the file.
    places = [*(step.place for step in plan.steps), *(skipped.place for skipped in plan.skipped)]
    in_order = sorted(zip(places, explained.steps, strict=True), key=lambda placed: placed[0])
    return replace(explained, steps=tuple(step for _, step in in_order))


def _print(model: str, explained: Explanation) -> None:
    click.echo(f"{model}: route {explained.route}, answered within {explained.deadline:g} s")
    width = max(len(str(step.deployment)) for step in explained.steps)
    for step in explained.steps:
        mark = "->" if step.serves else "  " if step.usable else " x"
        click.echo(f" {mark} {step.deployment!s:<{width}}  {step.why}")
    served = any(step.serves for step in explained.steps)
    click.echo(f"If all fail, {explained.if_all_fail}." if served else f"Nobody would serve: {explained.if_all_fail}.")
