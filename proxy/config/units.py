"""The units that people write in routes.yaml: durations, sizes and shares.

A duration is a number with a unit (`250ms`, `30s`, `5m`, `1.5h`) and becomes seconds; a size is a number with a unit
(`512KB`, `32MB`; 1 KB = 1024 bytes) and becomes bytes; a share is `0.6` or `60%` and becomes a number from 0 to 1. A
bare number for a duration or a size is refused, since nobody can tell what `timeout: 3000` means; `0` needs no unit.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile(rf"{_NUMBER}\s*(ms|s|m|h|d)")
_SIZE = re.compile(rf"{_NUMBER}\s*(B|KB|MB|GB)", re.IGNORECASE)
_SHARE = re.compile(rf"{_NUMBER}\s*%")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_LONGEST = 30 * 86400.0
_LARGEST = 1024**4
AUTO: Final = 0
"""Workers: as many as there are cores."""
MOST_WORKERS: Final = 64


class UnitError(ValueError):
    """A value that is not in its unit. `problem` says so without repeating the value, which may be a secret."""

    def __init__(self, value: Any, problem: str) -> None:
        super().__init__(f"{repr(value)[:80]} {problem}")
        self.problem = problem


def parse_duration(value: Any) -> float:
    """Seconds of a written duration. Raises ValueError with the cure in its message."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise UnitError(value, "is not a duration; write a number and a unit: 250ms, 30s, 5m, 1h")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST:
        raise UnitError(value, "is longer than 30 days")
    return seconds


def parse_size(value: Any) -> int:
    """Bytes of a written size. Raises ValueError with the cure in its message."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise UnitError(value, "is not a size; write a number and a unit: 512KB, 32MB, 1GB")
    size = float(match[1]) * _BYTES[match[2].upper()]
    if size > _LARGEST:
        raise UnitError(value, "is more than 1024GB")
    return int(size)


def parse_workers(value: Any) -> int:
    """How many processes serve; 0 for `auto`, one for each core. Raises ValueError with the cure in its message."""
    if value == "auto":
        return AUTO
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise UnitError(value, "is not a number of workers; write a whole number, or auto for one per core")
    if number < 1:
        raise UnitError(value, "is too few workers; write 1 for a single process, or auto for one per core")
    if number > MOST_WORKERS:
        raise UnitError(value, f"is too many workers; at most {MOST_WORKERS}, and more than cores gain nothing")
    return number


def parse_share(value: Any) -> float:
    """A share from 0 to 1, of `0.6` or `60%`. Raises ValueError with the cure in its message."""
    share: float | None = None
    if isinstance(value, str) and (match := _SHARE.fullmatch(value.strip())):
        share = float(match[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
    if share is None or not 0 <= share <= 1:
        raise UnitError(value, "is not a share; write a number from 0 to 1, or a percentage: 0.2, 20%")
    return share


def show_duration(seconds: float) -> str:
    """A duration as a person would write it: `312ms`, `4.5s`, `2m`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60 or seconds % 60:
        return f"{seconds:.4g}s"
    return f"{seconds / 60:.4g}m"


DURATION_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*$"}
_PERCENTAGE_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"}

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [DURATION_SCHEMA, {"type": "number", "const": 0}]}),
]
"""Seconds, written with a unit; zero is allowed."""

PositiveDuration = Annotated[float, Field(gt=0), BeforeValidator(parse_duration), WithJsonSchema(DURATION_SCHEMA)]
"""Seconds, written with a unit; zero is refused."""

Size = Annotated[
    int,
    Field(gt=0),
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGg]?[Bb])\s*$"}),
]
"""Bytes, written with a unit; zero is refused."""

Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, _PERCENTAGE_SCHEMA]}),
]
"""A number from 0 to 1, written so or as a percentage."""

POSITIVE_SHARE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, _PERCENTAGE_SCHEMA]
}
PositiveShare = Annotated[float, Field(gt=0), BeforeValidator(parse_share), WithJsonSchema(POSITIVE_SHARE_SCHEMA)]
"""The same; zero is refused."""
Workers = Annotated[
    int,
    BeforeValidator(parse_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_WORKERS}, {"const": "auto"}]}),
]
"""How many processes serve; `AUTO` for one per core."""
