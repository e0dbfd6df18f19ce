"""Collects findings while a document is checked: turns paths into places, and keeps secrets out of messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.config.document import Document, Path
from proxy.config.finding import Finding, Severity
from proxy.config.masking import is_credential_list, is_secretive, without_key_forms


class Notes:
    """The findings of one document, so far.

    `shown` has, for each value that came out of a reference, what messages may call it. At and below `muted` paths
    nothing more is noted: something there is wrong already, and what follows from it would only confuse.
    """

    def __init__(self, document: Document, file: str) -> None:
        self.shown: dict[Path, str] = {}
        self.muted: set[Path] = set()
        self._document = document
        self._file = file
        self._findings: dict[tuple[int, int, str], Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings without duplicates, in the order of the file."""
        return tuple(sorted(self._findings.values(), key=lambda one: (one.line, one.column, one.severity, one.message)))

    @property
    def failed(self) -> bool:
        """Whether there is an error among the findings."""
        return any(finding.severity == "error" for finding in self._findings.values())

    def error(self, path: Path, message: str, *, key: bool = False) -> None:
        """Note an error at the value (or the key) of a path, or of the nearest part of it that is written."""
        self._note("error", path, message, key=key)

    def warning(self, path: Path, message: str, *, key: bool = False) -> None:
        """Note a warning, likewise."""
        self._note("warning", path, message, key=key)

    def unknown(self, path: Path, message: str) -> None:
        """Note an error at a key that the mapping around it does not know."""
        self._note("error", path, message, key=True, owner=path[:-1])

    def at(self, line: int, column: int, message: str) -> None:
        """Note an error at a place of the text; line 0 is the file as a whole."""
        self._add(Finding("error", message, line, column, "", self._file))

    def quote(self, path: Path, value: Any) -> str:
        """A value as a message may show it: never a credential, and never what a variable or a file held."""
        if (reference := self.shown.get(self._document.nearest(path))) is not None:
            return f"the value of {reference}"
        if is_secret(path):
            return "the value"
        if isinstance(value, list | dict):
            # What stands inside may have come from a variable, even where no value was expected.
            return "a list" if isinstance(value, list) else "a mapping"
        text = repr(value)
        return text if len(text) <= 80 else text[:77] + "..."

    def written(self, path: Path) -> bool:
        """Whether the document has something at exactly this path."""
        return path in self._document.places

    def _note(self, severity: Severity, path: Path, message: str, *, key: bool, owner: Path | None = None) -> None:
        if any(path[: len(muted)] == muted for muted in self.muted):
            return
        known = self._document.nearest(path)
        place = self._document.places[known][0 if key else 1]
        shown = show_path(known if owner is None else owner)
        self._add(Finding(severity, message, place.line, place.column, shown, self._file))

    def _add(self, finding: Finding) -> None:
        # One text that several aliases stand for is one fault, whatever the path that led to it.
        safe = replace(finding, message=without_key_forms(finding.message), path=without_key_forms(finding.path))
        self._findings.setdefault((safe.line, safe.column, safe.message), safe)


def is_secret(path: Path) -> bool:
    """Whether the value at a path is, or may well be, a credential."""
    keys = [part for part in path if isinstance(part, str)]
    return bool(keys) and (is_secretive(keys[-1]) or any(is_credential_list(key) for key in keys))


def show_path(path: Path) -> str:
    """A path as people write it: `routes.fast.chain[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
