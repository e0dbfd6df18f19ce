"""What an unquoted YAML value means, by the core schema of YAML 1.2, which is what editors go by.

PyYAML speaks YAML 1.1, where `on` and `no` are booleans, `012` is ten, `12:30` is 750 and `1_000` a number. None of
that here: `on` is text, `012` is twelve, `12:30` and `1_000` are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Scalar = str | int | float | bool | None

_WORDS: Mapping[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMERIC_START = frozenset("0123456789+-.")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST = 100
"""Digits of a whole number; Python refuses to convert very long ones, so those become floats."""


def resolve_scalar(text: str) -> Scalar:
    """The value of a plain (unquoted) scalar."""
    if text[:1] not in _NUMERIC_START:
        return _WORDS.get(text, text)
    if len(text) <= _LONGEST:
        if _DECIMAL.fullmatch(text):
            return int(text)
        if _OCTAL.fullmatch(text):
            return int(text, 0)
        if _HEXADECIMAL.fullmatch(text):
            return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text
