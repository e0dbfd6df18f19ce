"""References in values: `${NAME}`, `${NAME:-default}`, `${file:PATH}`, `os.environ/NAME`, and `$$` for a plain `$`.

References are replaced after the YAML is parsed, so that no value can turn into syntax. The environment and the reader
of files are arguments. A credential or address of an upstream whose variable is unset makes that upstream
*unconfigured*: it is skipped and the rest works. Anything else that is unset is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proxy.config.document import Document, Path
from proxy.config.notes import Notes
from proxy.config.scalars import Scalar, resolve_scalar

_DOLLAR = re.compile(r"\$(?:(\$)|\{([^{}]*)(\})?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:-)(.*))?", re.DOTALL)
_LITELLM = re.compile(r"os\.environ/(.*)", re.DOTALL)


class Sources(NamedTuple):
    """Where values come from. `read_file` raises OSError or ValueError."""

    environ: Mapping[str, str]
    read_file: Callable[[str], str]


@dataclass(slots=True)
class Interpolated:
    """Data with its references replaced, and what could not be."""

    data: Any = None
    unconfigured: dict[str, str] = field(default_factory=dict)
    """Upstreams to skip, and why."""
    blank: dict[Path, str] = field(default_factory=dict)
    """Credentials that came out empty, and why."""
    failed: set[Path] = field(default_factory=set)
    """Values that have an error of their own."""


class _Unset(Exception):  # noqa: N818 - often no error at all
    """A reference whose variable, named by `args[0]`, has no value."""


class _Wrong(Exception):  # noqa: N818 - its text is the message of a finding
    """A reference that cannot be read."""


def interpolate(
    document: Document, notes: Notes, sources: Sources, *, takes_scalar: Callable[[Path], bool]
) -> Interpolated:
    """Replace the references in all values. `takes_scalar` says where a number or boolean is wanted, not text."""
    work = _Interpolation(document, notes, sources, takes_scalar)
    work.result.data = work.replaced(document.data, ())
    work.skip_empty_pools()
    notes.muted |= work.result.failed
    return work.result


class _Interpolation:
    def __init__(
        self, document: Document, notes: Notes, sources: Sources, takes_scalar: Callable[[Path], bool]
    ) -> None:
        self.result = Interpolated()
        self._document = document
        self._notes = notes
        self._sources = sources
        self._takes_scalar = takes_scalar

    def replaced(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self.replaced(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replaced(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and ("$" in value or value.startswith("os.environ/")):
            return self._text(value, path)
        return value

    def _text(self, text: str, path: Path) -> Scalar:
        references = _references(text)
        if references:
            # Neither defaults nor the text around a reference are shown: they may be secrets too.
            self._notes.shown[path] = ", ".join(f"${{{inner.partition(':-')[0]}}}" for inner in references)
        try:
            result = self._expanded(text)
        except _Wrong as wrong:
            self._fail(path, str(wrong))
            return None
        except _Unset as unset:
            return self._unset(path, str(unset))
        if references and not result and _is_address(path):
            return self._empty(path, references[0])
        whole = f"${{{references[0]}}}" == text or _LITELLM.fullmatch(text) if references else False
        if whole and self._takes_scalar(path):
            return resolve_scalar(result)
        return result

    def _expanded(self, text: str) -> str:
        if match := _LITELLM.fullmatch(text):
            return self._variable(match[1])
        return _DOLLAR.sub(self._one, text)

    def _one(self, match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        if not match[3]:
            raise _Wrong("'${' without its '}'; write $$ for a plain $")
        inner = match[2]
        return self._file(inner.removeprefix("file:")) if inner.startswith("file:") else self._variable(inner)

    def _variable(self, inner: str) -> str:
        match = _NAME.fullmatch(inner)
        if match is None:
            raise _Wrong("this reference cannot be read; write ${NAME}, ${NAME:-default} or ${file:PATH}")
        value = self._sources.environ.get(match[1])
        if match[2]:
            return value or match[3]
        if value is None:
            raise _Unset(match[1])
        return value

    def _file(self, path: str) -> str:
        try:
            text = self._sources.read_file(path)
        except UnicodeDecodeError:
            raise _Wrong(f"cannot read {path}: it is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be opened"
            raise _Wrong(f"cannot read {path}: {reason}") from None
        return text.removesuffix("\n").removesuffix("\r")

    def _unset(self, path: Path, name: str) -> Scalar:
        if not _is_address(path):
            self._fail(path, f"{name} is not set; set it, or give a default: ${{{name}:-...}}")
            return None
        return self._leave_out(path, f"{name} is not set")

    def _empty(self, path: Path, reference: str) -> Scalar:
        """An address or credential that came out empty: by its default on purpose, else by mistake."""
        name, default, _ = reference.removeprefix("file:").partition(":-")
        why = f"{name} is not set" if default else f"{name} is empty"
        if default and path[2] == "api_key":
            # Whether the upstream can do without is a matter of its kind; see `meaning_upstreams.py`.
            self.result.blank[path] = why
            return None
        return self._leave_out(path, why)

    def _leave_out(self, path: Path, why: str) -> Scalar:
        if path[2] == "api_keys":
            self.result.blank[path] = why
            return ""  # keeps its place, so that the paths of the other keys stay true
        self._skip(path, why)
        return None

    def skip_empty_pools(self) -> None:
        """A pool works with the keys it has; one that is left without any makes its upstream unconfigured."""
        for path, why in self.result.blank.items():
            if path[2] != "api_keys":
                continue
            upstream = path[1]
            if any(self.result.data["upstreams"][upstream]["api_keys"]):
                self._notes.warning(path, f"{why}: upstream {upstream} has one key less")
            else:
                self._skip(path, why)

    def _skip(self, path: Path, why: str) -> None:
        upstream = str(path[1])
        self.result.unconfigured.setdefault(upstream, why)
        self._notes.warning(path, f"{why}: upstream {upstream} is skipped")

    def _fail(self, path: Path, message: str) -> None:
        self._notes.error(path, message)
        self.result.failed.add(path)


def _references(text: str) -> list[str]:
    """What stands between the braces of each reference."""
    if match := _LITELLM.fullmatch(text):
        return [match[1]]
    return [match[2] for match in _DOLLAR.finditer(text) if not match[1]]


def _is_address(path: Path) -> bool:
    """Whether a path is that of an upstream's credential or address."""
    match path:
        case ("upstreams", str(), "api_key" | "base_url"):
            return True
        case ("upstreams", str(), "api_keys", int()):
            return True
        case _:
            return False
