"""What was demanded and what was measured, as a table in Markdown."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import NamedTuple


class Row(NamedTuple):
    """One demand."""

    scenario: str
    demand: str
    measured: str
    good: bool


@dataclass
class Report:
    """All rows, and what has to be known to read them."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def demand(self, scenario: str, demand: str, measured: str, good: bool) -> None:
        """Add one demand; also told at once, for whoever waits."""
        self.rows.append(Row(scenario, demand, measured, good))
        print(f"{'ok  ' if good else 'MISS'} {scenario}: {demand}: {measured}", file=sys.stderr, flush=True)

    def note(self, scenario: str, text: str) -> None:
        """Add what explains a scenario's figures."""
        self.notes.append(f"- `{scenario}`: {text}")
        print(f"     {scenario}: {text}", file=sys.stderr, flush=True)

    @property
    def good(self) -> bool:
        """Whether no demand is missed."""
        return all(row.good for row in self.rows)

    def markdown(self) -> str:
        """The table, and the notes below it."""
        lines = ["| scenario | demanded | measured | |", "|---|---|---|---|"]
        lines += [
            f"| `{row.scenario}` | {row.demand} | {row.measured} | {'pass' if row.good else '**fail**'} |"
            for row in self.rows
        ]
        return "\n".join([*lines, "", *self.notes])


@dataclass(frozen=True)
class Options:
    """How it is run."""

    quick: bool = False
    workers: int = 20

    def seconds(self, usual: float, quick: float) -> float:
        """How long a phase takes."""
        return quick if self.quick else usual
