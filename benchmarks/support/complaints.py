"""What a proxy has to complain about: every line of its standard error, which its log is written to as well."""

from __future__ import annotations

from pathlib import Path

from benchmarks.support.table import Report

_CHANCE = '"event":"ejected"'
"""Of equals one may be slower than the others for a while, in a load as mixed as this."""


def demand_none(report: Report, scenario: str, log: Path) -> None:
    """Nothing may be in the log, whose level is that of what must not happen in this scenario."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and _CHANCE not in line]
    report.demand(scenario, "nothing to complain about in the log", f"{len(lines)} lines", not lines)
    for line in lines[:3]:
        report.note(scenario, line[:400])
