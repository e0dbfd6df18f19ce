"""What PyYAML's syntax errors mean, in words that say what to change.

Its two parsers (C and Python) word the same fault differently, so a fault is known by what both say. Their own text is
never passed on: it names tokens and parser states, and may quote a piece of the file.
"""

from __future__ import annotations

import re

from yaml import Mark, MarkedYAMLError

_AT_CONTEXT = "context"
_AT_PROBLEM = "problem"
_RULES: tuple[tuple[str, str, str], ...] = (
    (r"mapping values are not allowed", _AT_PROBLEM,
     "a ':' that does not fit here: is the line above unfinished or indented otherwise, or does a value need quotes?"),
    (r"could not find expected ':'", _AT_CONTEXT, "a key without ':'; write `key: value`"),
    (r"quoted scalar.*(end of stream|document (separator|indicator))", _AT_CONTEXT, "this quote is never closed"),
    (r"escape", _AT_PROBLEM, "an escape that double quotes do not know; use single quotes, or \\\\ for a backslash"),
    (r"flow sequence", _AT_CONTEXT, "the list that '[' opens here is not closed, or lacks a comma"),
    (r"flow mapping", _AT_CONTEXT, "the mapping that '{' opens here is not closed, or lacks a comma"),
    (r"block (mapping|collection)", _AT_PROBLEM,
     "this does not fit the lines above: check the indentation, and quotes inside of quotes"),
    (r"block sequence entries are not allowed", _AT_PROBLEM, "a list item ('- ') cannot stand here"),
    (r"node content", _AT_PROBLEM, "a value is missing here"),
    (r"block scalar", _AT_PROBLEM, "after '|' or '>' the text begins on the next line"),
    (r"document start", _AT_PROBLEM, "this does not belong to the mapping above: check the indentation"),
    (r"(an )?(anchor|alias)", _AT_CONTEXT, "'&' and '*' begin anchors and aliases; put such a value in quotes"),
    (r"\btag\b", _AT_CONTEXT, "'!' begins a tag; put such a value in quotes"),
    (r"directive|%", _AT_PROBLEM, "'%' begins a directive; put such a value in quotes"),
)  # fmt: skip
_OTHERWISE = "this is not YAML; check quotes, colons and indentation around here"


def syntax_problem(error: MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Line and column (from 1) of a syntax error, and what to do about it."""
    said = f"{error.context or ''}: {error.problem or ''}"
    mark, message = error.problem_mark or error.context_mark, _OTHERWISE
    if error.problem_mark and _at(text, error.problem_mark)[0].endswith("${"):
        mark, message = error.problem_mark, 'inside of { } and [ ] a reference needs quotes: "${NAME}"'
    elif "cannot start any token" in said or "tab character" in said:
        message = _odd_character(text, mark)
    else:
        for pattern, where, meaning in _RULES:
            if re.search(pattern, said):
                message = meaning
                mark = (error.context_mark or mark) if where == _AT_CONTEXT else mark
                break
    return (mark.line + 1, mark.column + 1, message) if mark else (1, 1, message)


def _odd_character(text: str, mark: Mark | None) -> str:
    before, after = _at(text, mark) if mark else ("", "")
    if "\t" in before[: len(before) - len(before.lstrip())] or after[:1] == "\t":
        return "a tab; YAML is indented with spaces"
    return f"a value cannot begin with {after[0]!r}; put it in quotes" if after else _OTHERWISE


def _at(text: str, mark: Mark) -> tuple[str, str]:
    """The line of a mark, up to and with the character there, and from there on."""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[: mark.column + 1], line[mark.column :]
