"""The table of `holdfast status`: first the whole, then each route with the steps of its chain, in their order."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from proxy.cli.words import span
from proxy.config.finding import printable

Document = Mapping[str, Any]

_MARKS = {
    "ok": ("●", "+", "green"),
    "available": ("●", "+", "green"),
    "degraded": ("◐", "~", "yellow"),
    "unavailable": ("○", "x", "red"),
    "skipped": ("·", "-", "bright_black"),
}
"""By status: the mark, the same where the terminal lacks it, and the colour."""
_UNKNOWN = ("?", "?", "bright_black")
_HEADS = ("deployment", "status", "weight", "breaker", "good", "p50 / p95", "in flight")
_WHY = "why"
_DISPENSABLE = ("in flight", "p50 / p95", "good", "weight")
"""What a narrow terminal does without, the first one first."""
_GAP = "  "
_LONGEST_NAME = 44
_LEAST_FOR_WHY = 24
"""Columns below which the last one gets a line of its own."""


class _Row(NamedTuple):
    status: str
    cells: dict[str, str]


def print_table(seen: Document) -> None:
    """Print all of it."""
    click.echo(_whole(seen))
    if workers := seen.get("workers"):
        click.echo(coloured(f"    workers: {'; '.join(map(_worker, workers))}", "bright_black"))
    tables = [(route, [_row(route, step) for step in route["steps"]]) for route in seen["routes"]]
    widths = _widths([row for _, rows in tables for row in rows])
    heads = _GAP.join(f"{head:<{width}}" for head, width in widths.items())
    why = f"{_GAP}{_WHY}" if len(heads) + 4 + len(_GAP + _WHY) <= _room() else ""
    click.echo(coloured(f"    {heads}{why}", "bright_black"))
    for route, rows in tables:
        click.echo(f"{mark(route['status'])} {_route(route)}")
        for row in rows:
            for line in _lines(row, widths):
                click.echo(line)


def _widths(rows: Sequence[_Row]) -> dict[str, int]:
    """The columns that are shown, with their widths. Those that a narrow terminal has no room for are left out."""
    widths = {head: max([len(head), *(len(row.cells[head]) for row in rows)]) for head in _HEADS}
    if not any(row.cells["weight"] for row in rows):
        del widths["weight"]
    for head in _DISPENSABLE:
        if sum(widths.values()) + len(_GAP) * len(widths) + 2 > _room():
            widths.pop(head, None)
    return widths


def mark(status: str) -> str:
    """The coloured mark of a status."""
    sign, plain, colour = _MARKS.get(status, _UNKNOWN)
    try:
        sign.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        sign = plain
    return coloured(sign, colour)


def coloured(text: str, colour: str) -> str:
    """Coloured on a terminal, where colours are welcome; click strips the colour elsewhere."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def breaker_words(breakers: Iterable[Document]) -> str:
    """The breaker that keeps the most away, in a few words."""
    worst: Document | None = None
    for each in breakers:
        if worst is None or _severity(each) > _severity(worst):
            worst = each
    if worst is None or worst["state"] == "closed":
        return "closed"
    if worst["state"] == "half_open":
        return "half-open"
    left = "" if worst["open_for_s"] is None else f" {span(worst['open_for_s'])}"
    return f"open{left}{', by hand' if worst['forced'] else ''}"


def _severity(breaker: Document) -> tuple[int, float]:
    left = breaker["open_for_s"]
    return ("closed", "half_open", "open").index(breaker["state"]), float("inf") if left is None else left


def _whole(seen: Document) -> str:
    parts = [f"holdfast {printable(str(seen['version']))}", f"up {span(seen['uptime_s'])}"]
    parts += ["draining"] if seen["draining"] else []
    parts.append(f"{seen['in_flight']} of {seen['limit']} in flight")
    spent = {name: left for name, left in seen["upstream_budgets_remaining"].items() if left < 0.995}
    own = ", ".join(f"{printable(name)} {left:.0%}" for name, left in spent.items())
    parts.append(f"retry budget {seen['retry_budget_remaining']:.0%} left{f' ({own})' if own else ''}")
    return ", ".join([*parts, _state(seen["state"]), *_refused(seen.get("last_reload"))])


def _worker(seen: Document) -> str:
    """One of several processes, by its pid."""
    leads = " leads" if seen["leads"] else "" if seen["phase"] == "serving" else f" {printable(str(seen['phase']))}"
    replaced = f" (replaced {seen['restarts']}x)" if seen["restarts"] else ""
    return f"{seen['pid']}{leads}, up {span(seen['age_s'])}{replaced}"


def _refused(last: Document | None) -> list[str]:
    """That routes.yaml is not what is in force, because of an error in it."""
    if last is None or last["outcome"] == "ok":
        return []
    return [coloured(f"configuration NOT taken: {printable(str(last['message']))}", "red")]


def _state(state: Document) -> str:
    if state["trouble"] is not None:
        return coloured(f"state NOT kept: {printable(str(state['trouble']))}", "red")
    return f"state in {printable(str(state['path']))}" if state["path"] is not None else "no state file"


def _route(route: Document) -> str:
    strategy = "" if route["strategy"] == "sequential" else f", {route['strategy']}"
    status = "" if route["status"] == "ok" else f" {route['status']}"
    whole = route["status"] == "ok" and route["capacity"] == 1
    capacity = "" if whole else f", {route['capacity']:.0%} of its capacity"
    return f"{printable(route['route'])}{status}{strategy}{capacity}"


def _row(route: Document, step: Document) -> _Row:
    cells = dict.fromkeys((*_HEADS, _WHY), "")
    cells["deployment"] = _short(printable(str(step["deployment"])))
    cells["status"] = step["status"]
    cells[_WHY] = printable(str(step.get("reason") or ""))
    if "breakers" in step:
        share, p50, p95 = step["success_share"], step["total_p50_s"], step["total_p95_s"]
        # Other routes may go by other rules, and so by another breaker.
        cells["breaker"] = breaker_words(each for each in step["breakers"] if route["route"] in each["routes"])
        cells["good"] = "-" if share is None else f"{share:.0%}"
        cells["p50 / p95"] = "-" if p50 is None else f"{span(p50)} / {span(p95)}"
        cells["in flight"] = f"{step['in_flight']}" + (f" / {step['limit']}" if step["limit"] is not None else "")
        if route["strategy"] == "weighted":
            by_hand = step["weight"] is not None
            cells["weight"] = f"{step['weight']:g}, by hand" if by_hand else f"{step['step_weight']:g}"
    return _Row(step["status"], cells)


def _lines(row: _Row, widths: Mapping[str, int]) -> list[str]:
    """A row on the screen: one line, or two where it is too narrow for the reason."""
    padded = {head: f"{row.cells[head]:<{width}}" for head, width in widths.items()}
    room = _room() - 4 - len(_GAP.join(padded.values())) - len(_GAP)
    padded["status"] = coloured(padded["status"], _MARKS.get(row.status, _UNKNOWN)[2])
    line = f"  {mark(row.status)} {_GAP.join(padded.values())}"
    why = row.cells[_WHY]
    if not why or len(why) <= room:
        return [f"{line}{_GAP}{why}".rstrip()]
    if room >= _LEAST_FOR_WHY:
        return [f"{line}{_GAP}{_short(why, room)}"]
    return [line.rstrip(), f"      {_short(why, max(_LEAST_FOR_WHY, _room() - 6))}"]


def _short(text: str, longest: int = _LONGEST_NAME) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _room() -> int:
    """The columns of the terminal; plenty where the output is a file."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return 1000
    return shutil.get_terminal_size().columns
