"""Which values are secrets, and how the lines of a file look without them.

`check` prints the line that a finding is on, and its output ends up in tickets and CI logs. So whatever stands behind a
key that holds credentials, or looks like a misspelling of one, is replaced by asterisks of the same length (a caret
further right still points at its character).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_CREDENTIALS = frozenset({"api_key", "api_keys"})
_HARMLESS = frozenset({"first_token", "only_without_keys", "keepalive"})
_SUSPECT = re.compile(r"key|kye|secret|token|passw|credential|auth|^a[pi]{1,3}[_-]?k", re.IGNORECASE)
_REFERENCE = re.compile(r"(?:os\.environ/|\$\{)(?:[A-Za-z_][A-Za-z0-9_]*|file:[^}]*)(?::-)?\}?")
_DEFAULT = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*:-)[^{}]*\}")
_USER_INFO = re.compile(r"(?<=//)[^/\s@]+(?=@)")
_QUERY = re.compile(r"(?<=[?&])([^=&\s]*(?:key|token|secret)[^=&\s]*=)([^&\s\"']+)", re.IGNORECASE)
_KEY_FORM = re.compile(r"\b(?:sk|xai|gsk|pk|rk)[-_][A-Za-z0-9_-]{8,}|\bAIza[A-Za-z0-9_-]{20,}")
_SUSPECT_KEY = re.compile(r"([\w.-]+)[\"']?\s*[:=\s]")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: from a line and column up to, not including, another; all count from 0."""

    line: int
    column: int
    end_line: int
    end_column: int


@lru_cache(maxsize=1024)
def is_secretive(key: str) -> bool:
    """Whether a value behind this key is, or may well be, a credential."""
    return key not in _HARMLESS and _SUSPECT.search(key) is not None


def is_credential_list(key: str) -> bool:
    """Whether everything below this key is a credential, however it is nested."""
    return key in _CREDENTIALS


def is_reference(text: str) -> bool:
    """Whether the text only names where a secret is, without a default, and so may be shown."""
    return _REFERENCE.fullmatch(text.strip()) is not None


def masked(lines: list[str], spans: Iterable[Span]) -> list[str]:
    """The lines with the spans covered, and credentials inside of URLs and whatever looks like a provider's key."""
    covered = list(lines)
    for span in spans:
        last = min(span.end_line, len(covered) - 1)
        for number in range(span.line, last + 1):
            line = covered[number]
            start = span.column if number == span.line else 0
            end = span.end_column if number == span.end_line else len(line)
            covered[number] = line[:start] + _stars(line[start:end]) + line[end:]
    return [without_key_forms(_without_url_credentials(line)) for line in covered]


def without_key_forms(text: str) -> str:
    """A text without anything that has the form of a provider's key, wherever it was written by mistake."""
    return _KEY_FORM.sub(lambda match: _stars(match[0]), text)


def masked_blindly(line: str) -> str:
    """A line that could not be parsed, with all that follows a secretive key covered."""
    for match in _SUSPECT_KEY.finditer(line):
        if is_secretive(match[1]):
            return line[: match.end()] + _stars(line[match.end() :])
    return line


def _stars(text: str) -> str:
    return "".join(c if c.isspace() else "*" for c in text)


def _without_url_credentials(line: str) -> str:
    if "//" not in line:
        return line
    line = _USER_INFO.sub(lambda match: _stars(match[0]), line)
    return _QUERY.sub(lambda match: match[1] + _stars(match[2]), line)


def without_secrets(value: Any, key: str = "", *, secret: bool = False) -> Any:
    """Data as written, with credentials replaced: references stay, for they only say where a credential is."""
    secret = secret or is_credential_list(key)
    if isinstance(value, dict):
        if secret:
            return "***"  # where a credential should stand, even the keys of a mapping may be one
        return {without_key_forms(name): without_secrets(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item, key, secret=secret) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if secret or is_secretive(key):
        return value if isinstance(value, str) and is_reference(value) else "***"
    if isinstance(value, str):
        return _DEFAULT.sub(r"\1***}", without_key_forms(_without_url_credentials(value)))
    return value
