"""Everything about one deployment, spelled out, for `holdfast status NAME`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from proxy.cli.status_table import mark
from proxy.cli.words import span
from proxy.config.finding import printable

Document = Mapping[str, Any]

_SOURCES = {
    "file": "as routes.yaml says",
    "server": "as its server says",
    "catalogue": "as the catalogue says",
}


def print_one(seen: Document, whole: Document) -> None:
    """Print what is known of a deployment, and which routes lead to it; `whole` is the status of all."""
    why = f": {printable(str(seen['reason']))}" if seen.get("reason") else ""
    click.echo(f"{mark(seen['status'])} {printable(str(seen['deployment']))}  {seen['status']}{why}")
    told = [*_routes(seen, whole["routes"]), *(_told(seen, whole["uptime_s"]) if "breakers" in seen else ())]
    width = max((len(name) for name, _ in told), default=0)
    for name, text in told:
        click.echo(f"  {name:<{width}}  {printable(text)}")


def _routes(seen: Document, routes: Sequence[Document]) -> Iterator[tuple[str, str]]:
    places = [
        f"{route['route']} (step {place})"
        for route in routes
        for place, step in enumerate(route["steps"], 1)
        if step["deployment"] == seen["deployment"]
    ]
    yield "routes", ", ".join(places) or "none names it; a client asked for it"


def _told(seen: Document, uptime: float) -> Iterator[tuple[str, str]]:
    yield "usable", _usable(seen["usable_in_s"])
    for breaker in seen["breakers"]:
        # Routes with rules of their own have a breaker of their own.
        whose = f"of {', '.join(breaker['routes']) or 'no route'}: " if len(seen["breakers"]) > 1 else ""
        yield "breaker", whose + _breaker(breaker, uptime)
    if seen["rest_reason"] is not None:
        yield "rest", f"rests for {span(seen['rest_remaining_s'])} more ({seen['rest_reason']})"
    if seen["keys_resting"]:
        yield "keys", f"{_count(seen['keys_resting'], 'key')} of its upstream {_verb(seen['keys_resting'])}"
    if seen["order"] is not None:
        left = seen["order_remaining_s"]
        ordered = {"drain": "drained", "disable": "disabled"}.get(seen["order"], seen["order"])
        yield "order", f"{ordered} by an operator{f', {span(left)} left' if left is not None else ', until enabled'}"
    if seen["weight"] is not None:
        yield "weight", f"{seen['weight']:g}, set by an operator"
    if seen["ejected"] is not None:
        yield "left out", f"its siblings do far better ({seen['ejected']})"
    limit = "" if seen["limit"] is None else f", at most {seen['limit']}"
    yield "in flight", f"{_count(seen['in_flight'], 'attempt')}{limit}"
    if seen["headroom"] is not None:
        yield "rate limit", f"{seen['headroom']:.0%} of it was left, as its last good answer told"
    yield from _model(seen.get("model") or {})
    if refused := seen.get("refused_parameters"):
        yield "goes without", f"{', '.join(refused)}: refused before; `holdfast breaker reset` forgets that"
    yield from _answers(seen)


def _model(model: Document) -> Iterator[tuple[str, str]]:
    """The window of the model, and whether it is there and loaded; nothing where nobody has told."""
    facts = model.get("facts") or {}
    for name, word in (("context", "window"), ("max_input", "prompt")):
        if name in facts:
            yield word, f"{facts[name]['is']:,} tokens, {_SOURCES.get(facts[name]['from'], 'as somebody says')}"
    if model.get("listed") is False:
        yield "model", "its server does not list it"
    if model.get("loaded") is not None:
        slots = "" if model.get("slots") is None else f", {_count(model['slots'], 'slot')}"
        gpu = "" if model.get("gpu") is None else f", {model['gpu']:.0%} of it on graphics cards"
        yield "loaded", f"{'yes' if model['loaded'] else 'no'}{slots}{gpu}"


def _answers(seen: Document) -> Iterator[tuple[str, str]]:
    share = seen["success_share"]
    lately = "none lately" if share is None else f"{share:.0%} of the last 100 were good"
    row = seen["consecutive_failures"]
    in_a_row = f"; {_count(row, 'failure')} in a row" if row else ""
    yield "answers", f"{lately}; {seen['succeeded']} good and {seen['failed']} failed in all{in_a_row}"
    yield "first content", _times(seen["first_content_p50_s"], seen["first_content_p95_s"], "of streams")
    yield "whole answer", _times(seen["total_p50_s"], seen["total_p95_s"], "of all")
    if seen["since_success_s"] is not None:
        yield "last success", f"{span(seen['since_success_s'])} ago"
    if seen["last_failure"] is not None:
        ago = seen["since_failure_s"]
        yield "last failure", f"{seen['last_failure']}{f', {span(ago)} ago' if ago is not None else ''}"


def _breaker(breaker: Document, uptime: float) -> str:
    since = span(min(breaker["since_change_s"], uptime))
    rejected = breaker["rejected"]
    kept_away = f"; it kept {_count(rejected, 'request')} away" if rejected else ""
    if breaker["state"] == "half_open":
        return f"half-open for {since}: a few attempts at a time decide{kept_away}"
    if breaker["state"] == "open":
        left = breaker["open_for_s"]
        until = "until an operator closes it" if left is None else f"{span(left)} left"
        return f"open{' by an operator' if breaker['forced'] else ''} for {since}, {until}{kept_away}"
    rate = breaker["error_rate"]
    now = "" if rate is None else f", now {rate:.0%}"
    opens = f"opens after {_count(breaker['failures_left'], 'more failure')} in a row"
    back = f"; on its way back, at {breaker['share']:.0%} of its traffic" if breaker["share"] < 1 else ""
    return f"closed for {since}; {opens}, or at {breaker['opens_at_rate']:.0%} errors{now}{back}{kept_away}"


def _usable(seconds: float | None) -> str:
    if seconds is None:
        return "nobody knows when"
    return "now" if seconds == 0 else f"in {span(seconds)}"


def _times(p50: float | None, p95: float | None, which: str) -> str:
    if p50 is None or p95 is None:
        return "not known yet"
    return f"half {which} within {span(p50)}, 95% within {span(p95)}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _verb(number: int) -> str:
    return "rests" if number == 1 else "rest"
