"""One of each event, made from the types themselves, so that a new one cannot be forgotten."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import msgspec

from proxy.core.event import AttemptEnded, Happening, Resume
from proxy.core.names import DeploymentId

A = DeploymentId("openai", "gpt-4o")
CLASSES: tuple[type, ...] = get_args(Happening)
_VALUES: dict[Any, Any] = {
    str: "word",
    float: 1.5,
    int: 7,
    bool: True,
    bytes: b'{"usage":{"prompt_tokens":5,"completion_tokens":9}}',
    DeploymentId: A,
}


def one_of(cls: type, **given: Any) -> Any:
    """An event of a type with a value in every field."""
    hints = get_type_hints(cls)
    return cls(**{name: _value(hints[name]) for name in names_of(cls) if name not in given} | given)


def names_of(cls: type) -> tuple[str, ...]:
    """The names of an event's members."""
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    return tuple(field.name for field in dataclasses.fields(cls))


def one_of_each() -> list[Any]:
    """An event of every type."""
    return [one_of(cls) for cls in CLASSES]


def _value(hint: Any) -> Any:
    if hint in {tuple[AttemptEnded, ...], tuple[Resume, ...]}:
        return (one_of(get_args(hint)[0]),)
    return next(_VALUES[each] for each in (hint, *get_args(hint)) if each in _VALUES)
