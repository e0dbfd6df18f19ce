"""Reading our own pages: tables, code blocks, links, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[2]
DOCS = sorted((TOP / "docs").rglob("*.md"))
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *DOCS, *sorted((TOP / "deploy").glob("*.md"))]
_CELLS = re.compile(r"(?<!\\)\|")
_COMMAND = re.compile(r"(?:^|[\s(;&|`])(?:\S*/)?(?:holdfast|\./run|python -m proxy) ([^\n]*)")


def read(name: str) -> str:
    """A page of docs/."""
    return (TOP / "docs" / name).read_text(encoding="utf-8")


def tables(text: str, first: str) -> list[list[str]]:
    """The rows, header and rule left out, of all tables whose first column has this name."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in _CELLS.split(line)[1:-1]]
        if not cells:
            inside = False
        elif inside:
            rows.append(cells)
        else:
            inside = first == cells[0]
    return [row for row in rows if not set("".join(row)) <= {"-", ":"}]


def quoted(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return found


def links(text: str) -> list[str]:
    """Where relative links lead, without anchors."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link.partition("#")[0] for link in found if "://" not in link and not link.startswith("#")]


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `holdfast` command in code: fenced, indented, or in backticks within a sentence."""
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = "\n".join(re.findall(r"^ {4}(.*)$", rest, re.MULTILINE))
    sentences = "\n".join(code for code in quoted(rest) if code.startswith(("holdfast ", "./run ")))
    for line in f"{fenced}\n{indented}\n{sentences}".splitlines():
        for match in _COMMAND.finditer(line):
            words = _words(match[1])
            if words and re.fullmatch("[a-z]+", words[0]) and words[0] not in {"test", "holdfast"}:
                yield words


def _words(text: str) -> list[str]:
    # README lists commands with what is optional in brackets, and with two spaces before what they do.
    text = re.split(r"\s{2,}|\s#", text.replace("[", "").replace("]", ""), maxsplit=1)[0]
    lexer = shlex.shlex(text.rstrip("`"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = list(lexer)
    end = next((place for place, word in enumerate(words) if re.fullmatch("[();<>|&]+", word)), len(words))
    return words[:end]
