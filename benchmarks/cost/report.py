"""The tables: ratios first, then what they were made of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cost.figures import Round, Spread, ratios, spread
from benchmarks.cost.scenarios import Figure, Scenario

_BOTTLENECK = 0.9


@dataclass(frozen=True)
class Result:
    """What came of one scenario with one number of workers."""

    name: str
    scenario: Scenario
    workers: int
    rounds: Mapping[str, Sequence[Round]]
    left_out: Mapping[str, str]
    """Proxies that were not measured, and why."""

    @property
    def title(self) -> str:
        """For a row."""
        return self.scenario.title + ("" if self.workers == 1 else f", {self.workers} workers")

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "scenario": self.name,
            "title": self.title,
            "workers": self.workers,
            "rounds": {name: list(rounds) for name, rounds in self.rounds.items()},
            "left_out": dict(self.left_out),
        }


def summary(results: Sequence[Result], names: Sequence[str]) -> Iterator[str]:
    """One table: the first proxy's figures, and the others' as multiples of them."""
    base, *others = [name for name in names if name != "direct"] or ["direct"]
    yield "| " + " | ".join(["scenario", "figure", base, *(f"{name}, x {base}" for name in others)]) + " |"
    yield "|---|---|---|" + "---|" * len(others)
    for result in results:
        for figure in result.scenario.figures:
            cells = [_absolute(result, base, figure), *(_ratio(result, name, base, figure) for name in others)]
            yield f"| {result.title} | {figure.title} | " + " | ".join(cells) + " |"


def details(result: Result) -> Iterator[str]:
    """The values behind a scenario's rows."""
    yield f"### {result.title}"
    yield ""
    yield from _memory(result) if result.scenario.memory else _costs(result)
    for name, why in result.left_out.items():
        yield f"- {name} left out: {why}"


def _costs(result: Result) -> Iterator[str]:
    per = "chunk" if result.scenario.unit == "events" else "request"
    yield (
        f"| proxy | CPU us/{per} | least - most | user + system | {per}s/s | p50 us | p99 us | added p50 | added p99 "
        "| proxy busy | ends busy | steal | errors |"
    )
    yield "|" + "---|" * 13
    for name, rounds in result.rounds.items():
        values = {key: spread(each.get(key) for each in rounds) for key in _KEYS}
        cells = [
            name,
            _number(values["cpu"]),
            _range(values["cpu"]),
            f"{_number(values['user'])} + {_number(values['system'])}" if values["cpu"] else "-",
            *(_number(values[key]) for key in ("rate", "p50", "p99", "added_p50", "added_p99")),
            *(_percent(values[key]) for key in ("busy", "ends_busy", "steal")),
            _errors(rounds) or "0",
        ]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    if slow := [name for name, rounds in result.rounds.items() if _paced_by_the_ends(rounds)]:
        yield f"- paced by the ends, not by itself: {', '.join(slow)}"


_KEYS = ("cpu", "user", "system", "rate", "p50", "p99", "added_p50", "added_p99", "busy", "ends_busy", "steal")


def _memory(result: Result) -> Iterator[str]:
    yield (
        "| proxy | KiB each (PSS) | least - most | KiB each (RSS) | MiB before | s to the first answer | steal "
        "| errors |"
    )
    yield "|" + "---|" * 8
    for name, rounds in result.rounds.items():
        keys = ("pss", "rss", "base_pss", "started", "steal")
        values = {key: spread(each.get(key) for each in rounds) for key in keys}
        cells = [name, _number(values["pss"]), _range(values["pss"]), _number(values["rss"])]
        cells += [_number(values["base_pss"]), _number(values["started"]), _percent(values["steal"])]
        yield "| " + " | ".join([*cells, _errors(rounds) or "0"]) + " |"
    yield ""


def _absolute(result: Result, name: str, figure: Figure) -> str:
    rounds = result.rounds.get(name)
    if not rounds:
        return "-"
    value = spread(each.get(figure.key) for each in rounds)
    return _with(f"{_number(value)} {figure.unit}" if value else "-", rounds)


def _ratio(result: Result, name: str, base: str, figure: Figure) -> str:
    rounds = result.rounds.get(name)
    if not rounds:
        return "-"
    if not result.rounds.get(base):
        return _absolute(result, name, figure)
    value = ratios(rounds, result.rounds[base], figure.key)
    if value is None:
        return _with(_absolute(result, name, figure), ())
    low, high = _number(Spread(value.low, 0, 0)), _number(Spread(value.high, 0, 0))
    some = "" if value.count == len(rounds) else f", {value.count} of {len(rounds)} rounds"
    between = f" ({low}..{high}{some})" if len(rounds) > 1 else ""
    return _with(f"{_number(value)}{between}", rounds)


def _with(cell: str, rounds: Sequence[Round]) -> str:
    """A figure that has errors behind it says so."""
    told = _errors(rounds)
    return f"{cell}, **{told}**" if told else cell


def _errors(rounds: Sequence[Round]) -> str:
    """What went wrong in them; empty if nothing did."""
    errors = sum(int(each.get("errors") or 0) for each in rounds)
    shares = [share for each in rounds if (share := each.get("failed_over")) is not None]
    told = [f"{errors} errors"] if errors else []
    if shares and min(shares) < 0.99:
        told.append(f"only {min(shares):.0%} failed over")
    return ", ".join(told)


def _paced_by_the_ends(rounds: Sequence[Round]) -> bool:
    ends = spread(each.get("ends_busy") for each in rounds)
    own = spread(each.get("busy") for each in rounds)
    return ends is not None and own is not None and ends.median > _BOTTLENECK > own.median


def _number(value: Spread | None) -> str:
    if value is None:
        return "-"
    size = abs(value.median)
    return f"{value.median:,.0f}" if size >= 100 else f"{value.median:.1f}" if size >= 10 else f"{value.median:.2f}"


def _range(value: Spread | None) -> str:
    if value is None:
        return "-"
    return f"{_number(Spread(value.low, 0, 0))} - {_number(Spread(value.high, 0, 0))}"


def _percent(value: Spread | None) -> str:
    return "-" if value is None else f"{value.median:.0%}"
