"""One of each event, made from the types themselves, so that a new one cannot be forgotten."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

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
    return cls(**{field.name: _value(hints[field.name]) for field in fields(cls) if field.name not in given} | given)


def one_of_each() -> list[Any]:
    """An event of every type."""
    return [one_of(cls) for cls in CLASSES]


def _value(hint: Any) -> Any:
    if hint in {tuple[AttemptEnded, ...], tuple[Resume, ...]}:
        return (one_of(get_args(hint)[0]),)
    return next(_VALUES[each] for each in (hint, *get_args(hint)) if each in _VALUES)
