"""routes.yaml from text to a checked configuration, with everything that was found on the way.

`load` is pure: the environment and all that looks at the disk are arguments. `load_file` is the only function of this
package that touches it. The steps, in order: read the YAML, replace references, check each value, check what the
values mean together. Every step notes all that it finds, so that one run shows everything that is wrong.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.config.document import Document, Path, read_document
from proxy.config.finding import Finding, as_github, as_json, as_text
from proxy.config.interpolate import Interpolated, Sources, interpolate
from proxy.config.masking import without_secrets
from proxy.config.meaning import check_meaning
from proxy.config.notes import Notes
from proxy.config.schema import Config
from proxy.config.shape import takes_scalar
from proxy.config.wording import note_errors

_LARGEST = 8 * 1024**2
"""Bytes of routes.yaml that are read; a larger file is a mistake."""
_LARGEST_SECRET = 64 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome. `config` is None when there is an error among the findings."""

    config: Config | None = field(repr=False)
    findings: tuple[Finding, ...]
    unconfigured: Mapping[str, str]
    """Upstreams that are skipped, and why."""
    source_lines: tuple[str, ...] = field(repr=False)
    """The lines of the file, credentials masked."""
    masked: Mapping[str, Any] = field(repr=False)
    """The document as it is written: references as such, credentials masked. For operators to see."""
    folder: FilePath | None = None
    """The folder of the file, which relative paths start from; None for a text that came from no file."""

    def as_text(self, finding: Finding) -> str:
        """A finding with its line and a caret."""
        return as_text(finding, self.source_lines)

    def render(self, form: str) -> str:
        """All findings: `text` for people, `github` for workflows, `json` (always one list) for programs."""
        if form == "json":
            return json.dumps([as_json(finding) for finding in self.findings], indent=2) + "\n"
        one = as_github if form == "github" else self.as_text
        return "".join(f"{one(finding)}\n" for finding in self.findings)


def load(
    text: str | bytes,
    *,
    filename: str,
    environ: Mapping[str, str],
    read_file: Callable[[str], str],
    has_folder: Callable[[str], bool] = lambda _path: True,
) -> Loaded:
    """Load a text. Never raises for what is in it. `read_file` raises OSError or ValueError for what it cannot read;
    `has_folder` says whether the folder exists in which a file is to be written."""
    document = read_document(text)
    notes = Notes(document, filename)
    for place, message in document.problems:
        notes.at(place.line, place.column, message)
    config: Config | None = None
    unconfigured: Mapping[str, str] = {}
    if document.data is not None:
        interpolated = interpolate(document, notes, Sources(environ, read_file), takes_scalar=takes_scalar)
        config, unconfigured = _checked(interpolated, notes, has_folder)
    return Loaded(
        config=None if notes.failed else config,
        findings=notes.findings,
        unconfigured=unconfigured,
        source_lines=document.source_lines,
        masked=without_secrets(document.data or {}),
    )


def load_file(path: str | FilePath, environ: Mapping[str, str]) -> Loaded:
    """Load a file; `${file:PATH}` is relative to its folder. A file that cannot be read is a finding, too."""
    file = FilePath(path)
    try:
        with file.open("rb") as stream:
            text = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        return _unreadable(str(path), _why(error))
    if len(text) > _LARGEST:
        return _unreadable(str(path), f"the file is larger than {_LARGEST // 1024**2} MB; is it the right one?")
    folder = file.parent
    loaded = load(
        text,
        filename=str(path),
        environ=environ,
        read_file=_reader(folder),
        has_folder=lambda written: _exists((folder / written).parent),
    )
    return replace(loaded, folder=folder.absolute())


def _checked(
    interpolated: Interpolated, notes: Notes, has_folder: Callable[[str], bool]
) -> tuple[Config | None, Mapping[str, str]]:
    data, unconfigured = interpolated.data, interpolated.unconfigured
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        note_errors(error, notes)
        details = error.errors(include_url=False)
        if any(each["type"] != "extra_forbidden" for each in details):
            return None, unconfigured
        # Unknown keys alone hide nothing: without them the rest can be checked, so that all errors show at once.
        config = Config.model_validate(_without_unknown(data, details))
    # What stands beside a value that is wrong already: an upstream's or a client's other keys depend on it.
    notes.muted |= {path[:-1] for path in interpolated.failed if len(path) > 2}
    return config, check_meaning(config, interpolated, notes, has_folder)


def _without_unknown(data: Any, details: list[ErrorDetails]) -> Any:
    unknown: set[Path] = {each["loc"] for each in details}

    def pruned(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {k: pruned(item, (*path, k)) for k, item in value.items() if (*path, k) not in unknown}
        if isinstance(value, list):
            return [pruned(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return pruned(data, ())


def _unreadable(filename: str, message: str) -> Loaded:
    document = Document(None, {}, frozenset(), (), ())
    notes = Notes(document, filename)
    notes.at(0, 0, message)
    return Loaded(None, notes.findings, {}, (), {})


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; `holdfast init` writes one that works"
    if isinstance(error, IsADirectoryError):
        return "this is a folder; name the file in it, or let `holdfast init` write one"
    if isinstance(error, PermissionError):
        return "the file may not be read; allow it (chmod u+r), or let `holdfast init` write another"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "its name cannot be used"
    return f"the file cannot be read: {reason}; `holdfast init` writes one that works"


def _exists(folder: FilePath) -> bool:
    """Whether a folder is there; one that may not be looked at may well be."""
    try:
        return stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True


def _reader(folder: FilePath) -> Callable[[str], str]:
    def read(path: str) -> str:
        with (folder / path).open(encoding="utf-8") as stream:
            text = stream.read(_LARGEST_SECRET + 1)
        if len(text) > _LARGEST_SECRET:
            raise OSError(0, "it is larger than 64 KB")
        return text

    return read
