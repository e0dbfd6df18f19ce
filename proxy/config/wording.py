"""pydantic's errors in the words of people who write routes.yaml, at the place that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.config.document import Path
from proxy.config.notes import Notes
from proxy.config.shape import choices_at, model_at
from proxy.config.units import UnitError

_KEY_MARK = "[key]"
_TYPES = {
    "string_type": "text; put it in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)",
}
_BOUNDS = {
    "greater_than": ("must be more than {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be less than {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
}
_PATTERNS = {
    "name": "letters, digits, dots, dashes and underscores, at most 64, beginning with a letter or digit",
    "key_hash": "`sha256:` and the 64 hexadecimal digits (in lower case) of the key's hash",
}


def note_errors(error: ValidationError, notes: Notes) -> None:
    """Note every error of a validation, reworded."""
    for details in error.errors(include_url=False):
        _note(details, notes)


def suggestion(word: str, known: Sequence[str], otherwise: str = "") -> str:
    """`; did you mean 'x'?` for the known word that is most alike, or another ending."""
    # Without regard to case: `OpenAI` is like `openai`.
    folded = {each.casefold(): each for each in known}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[near[0]]!r}?" if near else otherwise


def _note(details: ErrorDetails, notes: Notes) -> None:
    path, kind = details["loc"], details["type"]
    if kind == "missing":
        notes.error(path[:-1], _missing(path), key=True)
    elif kind == "extra_forbidden":
        notes.unknown(path, _unknown(path))
    elif path[-1:] == (_KEY_MARK,):
        word = "this name" if len(str(path[-2])) > 64 else repr(path[-2])
        notes.error(path[:-1], f"{word} is no name: use {_PATTERNS['name']}", key=True)
    else:
        notes.error(path, _wrong(path, details, notes))


def _missing(path: Path) -> str:
    name = str(path[-1])
    choices = choices_at(path)
    if len(choices) == 1:
        return f"missing key '{name}'; write `{name}: {choices[0]}`"
    if choices:
        return f"missing key '{name}'; one of: {', '.join(choices)}"
    model = model_at(path[:-1])
    meaning = (model.model_fields[name].description or "") if model else ""
    return f"missing key '{name}': {meaning[:1].lower()}{meaning[1:].rstrip('.')}"


def _unknown(path: Path) -> str:
    model = model_at(path[:-1])
    known = list(model.model_fields) if model else []
    key, listed = str(path[-1]), ", ".join(known)
    head, colon, _ = key.partition(":")
    if colon and head in known:
        return f"unknown key; a space is missing after '{head}:'"
    return f"unknown key {head[:64]!r}{suggestion(key, known, f'; known here: {listed}')}"


def _wrong(path: Path, details: ErrorDetails, notes: Notes) -> str:
    kind, given = details["type"], details["input"]
    context: Mapping[str, Any] = details.get("ctx", {})
    value = notes.quote(path, given)
    if wanted := _TYPES.get(kind):
        return _wrong_type(wanted, given, value)
    if kind == "literal_error":
        choices = [str(choice) for choice in choices_at(path)]
        if len(choices) == 1:
            return f"{value} is not known here; write {choices[0]}"
        near = suggestion(given, choices) if isinstance(given, str) and not value.startswith("the value") else ""
        return f"{value} is not known here{near}{';' if not near else ''} one of: {', '.join(choices)}"
    if kind in _BOUNDS:
        text, name = _BOUNDS[kind]
        bound = text.format(f"{context[name]:g}")
        return f"{value} {bound}" if value.startswith("the value") else bound
    return _wrong_value(path, kind, value, context)


def _wrong_type(wanted: str, given: Any, value: str) -> str:
    if given is None:
        return f"nothing stands here; expected {wanted.partition(';')[0]}, or remove the key"
    if isinstance(given, list | dict):
        return f"expected {wanted.partition(';')[0]}, not a {'list' if isinstance(given, list) else 'mapping'}"
    return f"{value} is not {wanted}"


def _wrong_value(path: Path, kind: str, value: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        cause = context["error"]
        return f"{value} {cause.problem}" if isinstance(cause, UnitError) else str(cause)
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty"
    if kind == "string_too_long":
        return f"must not be longer than {context['max_length']} characters"
    if kind == "string_pattern_mismatch":
        meaning = _PATTERNS.get(str(path[-1]))
        return f"{value} is not right here; use {meaning}" if meaning else f"{value} is not right here"
    return f"{value} does not fit here"
