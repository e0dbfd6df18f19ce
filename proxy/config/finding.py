"""A finding is one thing that is wrong, or odd, in a configuration file; and the three ways to print it.

Everything here is pure. Findings never hold secrets (see `notes.py`), and the source lines that are given to `as_text`
are expected to be masked already (see `masking.py`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
_WIDEST = 160
"""Longer source lines are shown in part, around the finding's column."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning. `line` and `column` count from 1; line 0 means the file as a whole."""

    severity: Severity
    message: str
    line: int
    column: int
    path: str
    """Where in the document, such as `upstreams.gpt` or `routes.fast.chain[0]`; empty for the top."""
    file: str


def as_text(finding: Finding, source_lines: Sequence[str]) -> str:
    """The finding for a terminal: file:line:column, the message and the path; then the line and a caret below it."""
    where = f"{finding.file}:{finding.line}:{finding.column}" if finding.line else finding.file
    path = f"  [{finding.path}]" if finding.path else ""
    head = printable(f"{where}: {finding.severity}: {finding.message}{path}")
    if not 1 <= finding.line <= len(source_lines):
        return head
    line, caret = _excerpt(source_lines[finding.line - 1], finding.column - 1)
    number = f"{finding.line:>4}"
    return f"{head}\n{number} | {line}\n{' ' * len(number)} | {caret}"


def as_github(finding: Finding) -> str:
    """The finding as a workflow command, which GitHub shows beside the line of a pull request."""
    place = f",line={finding.line},col={finding.column}" if finding.line else ""
    message = f"{finding.message}  [{finding.path}]" if finding.path else finding.message
    return f"::{finding.severity} file={_property(finding.file)}{place}::{_data(printable(message))}"


def as_json(finding: Finding) -> dict[str, str | int]:
    """The finding as plain data, ready for `json.dumps`."""
    return {
        "severity": finding.severity,
        "message": finding.message,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "path": finding.path,
    }


def printable(text: str) -> str:
    """The text with everything that could move a cursor or break a line written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _excerpt(line: str, column: int) -> tuple[str, str]:
    start = max(0, column - _WIDEST // 2) if len(line) > _WIDEST else 0
    before, after = line[start:column], line[column : start + _WIDEST]
    ahead = "..." if start else ""
    behind = "..." if start + _WIDEST < len(line) else ""
    shown = _on_screen(before)
    return f"{ahead}{shown}{_on_screen(after)}{behind}".rstrip(), " " * _width(ahead + shown) + "^"


def _on_screen(text: str) -> str:
    return printable(text.replace("\t", "    "))


def _width(text: str) -> int:
    """Columns of a terminal; East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
