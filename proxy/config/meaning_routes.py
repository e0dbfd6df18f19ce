"""Routes and their chains: names that lead somewhere, steps that can be reached."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.document import Path
from proxy.config.notes import Notes
from proxy.config.resolve import facts_of, is_glob
from proxy.config.schema import Config, Route
from proxy.config.wording import suggestion


def check(config: Config, notes: Notes) -> None:
    """Note names that lead nowhere, steps that are never reached, and upstreams that nothing leads to."""
    for name, route in config.routes.items():
        _check_name(name, notes)
        _check_chain(name, route, config, notes)
        if not route.mixed_dimensions:
            _check_dimensions(name, route, config, notes)
    used = {step.to.partition("/")[0] for route in config.routes.values() for step in route.chain}
    for name in config.upstreams:
        if name not in used:
            notes.warning(("upstreams", name), f"no route uses upstream {name}", key=True)


def check_usable(config: Config, unusable: Mapping[str, str], notes: Notes) -> None:
    """Note routes that nothing can serve at present."""
    dead: dict[str, str] = {}
    for name, route in config.routes.items():
        reasons = {upstream: unusable.get(upstream) for upstream in (step.to.partition("/")[0] for step in route.chain)}
        if all(reasons.values()):
            dead[name] = "; ".join(f"{upstream}: {why}" for upstream, why in reasons.items())
    if len(dead) == len(config.routes):
        reasons_of_all = "; ".join(dict.fromkeys("; ".join(dead.values()).split("; ")))
        notes.warning(("routes",), f"no route can be served ({reasons_of_all})", key=True)
        return
    for name, why in dead.items():
        notes.warning(("routes", name), f"nothing can serve this route ({why})", key=True)


def _check_name(name: str, notes: Notes) -> None:
    path: Path = ("routes", name)
    if not name or name != name.strip() or not name.isprintable() or len(name) > 200:
        notes.error(path, "a route's name is 1 to 200 visible characters without spaces around it", key=True)
    elif any(sign in name for sign in "?[]"):
        notes.error(path, "globs know only '*', for any number of characters", key=True)


def _check_chain(name: str, route: Route, config: Config, notes: Notes) -> None:
    first: dict[str, int] = {}
    for index, step in enumerate(route.chain):
        path: Path = ("routes", name, "chain", index, "to")
        problem = _problem(step.to, path, config, notes)
        if problem is not None:
            notes.error(path, problem)
        elif "*" in step.to and not is_glob(name):
            cure = "name the model, or make the route a glob"
            notes.error(path, f"'*' stands for the name that was asked for, but this route has just one; {cure}")
        elif step.to in first:
            notes.warning(path, f"never reached: the same deployment is step {first[step.to] + 1} of this chain")
        first.setdefault(step.to, index)


def _check_dimensions(name: str, route: Route, config: Config, notes: Notes) -> None:
    """Note embeddings models whose vectors nobody can compare: failing over between them would spoil an index."""
    first: tuple[str, int] | None = None
    for index, step in enumerate(route.chain):
        upstream, _, model = step.to.partition("/")
        if upstream not in config.upstreams or "*" in model:
            continue
        dimensions = facts_of(config.upstreams[upstream], model).dimensions
        if dimensions is None:
            continue
        first = first or (step.to, dimensions)
        if dimensions != first[1]:
            message = f"its vectors have {dimensions} numbers and those of {first[0]} have {first[1]}"
            cure = "keep to one model, or set `mixed_dimensions: true` on the route if clients send `dimensions`"
            notes.error(("routes", name, "chain", index, "to"), f"{message}, so they cannot be compared; {cure}")
            return


def _problem(to: str, path: Path, config: Config, notes: Notes) -> str | None:
    upstream, slash, model = to.partition("/")
    shown = notes.quote(path, to)
    if not slash:
        which = f"the model is missing: {to}/MODEL" if to in config.upstreams else "write upstream/model"
        return f"{shown} is not upstream/model; {which}"
    if not model or model != model.strip() or not model.isprintable():
        return f"{shown} has no model after the slash" if not model.strip() else f"{shown} has stray spaces in it"
    if upstream in config.upstreams:
        return None
    if shown.startswith("the value of"):
        return f"{shown} begins with no upstream of this file; there are {', '.join(config.upstreams)}"
    known = list(config.upstreams)
    return f"no upstream is called {upstream[:64]!r}{suggestion(upstream, known, f'; there are {_few(known)}')}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
