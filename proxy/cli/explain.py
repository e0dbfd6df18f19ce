"""holdfast explain."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from proxy.cli.common import config_option, fail, load_or_exit
from proxy.config.resolve import find_route, nearest_route
from proxy.pool.pool import Pool
from proxy.routing.explain import Explanation
from proxy.routing.explain import explain as explain_plan
from proxy.routing.plan import Wishes, make_plan


@click.command(
    epilog="Examples:\n\n  holdfast explain --model default\n\n  holdfast explain --model gpt-4o --down openai"
)
@config_option
@click.option("--model", required=True, help="What a client would put in `model`.")
@click.option("--down", multiple=True, metavar="NAME", help="Take an upstream, or upstream/model, as failing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(path: Path, model: str, down: tuple[str, ...], as_json: bool) -> None:
    """Say which deployment would serve a model, why each other would not, and what a failure would cost.

    Sends nothing. Exits 1 when nobody would serve.
    """
    _, settings = load_or_exit(path)
    route = find_route(settings, model)
    if route is None:
        near = nearest_route(settings, model)
        fail(f"no route serves {model!r}" + (f"; did you mean {near!r}?" if near else "; see holdfast routes"))
    known = {name for step in route.steps for name in (step.upstream, f"{step.upstream}/{step.model}")}
    for name in down:
        if name not in known | {f"{step.upstream}/{step.model.replace('*', model)}" for step in route.steps}:
            fail(f"--down {name}: the route has no such upstream or deployment", code=2)
    pool = Pool({name: len(upstream.keys) for name, upstream in settings.upstreams.items()})
    plan = make_plan(settings, route, model, Wishes(), 0.0)
    explained = explain_plan(plan, [pool.standing(step.deployment, 0.0) for step in plan.steps], 0.0, down)
    if as_json:
        click.echo(json.dumps(explained.as_document(), indent=2))
    else:
        _print(model, explained)
    sys.exit(0 if any(step.serves for step in explained.steps) else 1)


def _print(model: str, explained: Explanation) -> None:
    click.echo(f"{model} is served by route {explained.route}, within {explained.deadline:g} s.")
    width = max(len(str(step.deployment)) for step in explained.steps)
    for step in explained.steps:
        mark = "->" if step.serves else "  " if step.usable else " x"
        click.echo(f" {mark} {step.deployment!s:<{width}}  {step.why}")
    click.echo(f"If all fail, {explained.if_all_fail}.")
