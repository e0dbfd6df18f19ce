"""Walks the schema along a path of the document: which model, which type is meant at a place."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from proxy.config.document import Path
from proxy.config.schema import Config
from proxy.config.schema_policies import Limit, Resume


def type_at(path: Path) -> Any:
    """The type that the schema has at a path, without its Annotated and Optional shells; None where it has none."""
    found: Any = Config
    for part in path:
        found = bare(_below(found, part))
    return found


def model_at(path: Path) -> type[BaseModel] | None:
    """The model of the mapping at a path."""
    found = type_at(path)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def takes_scalar(path: Path) -> bool:
    """Whether a number or a boolean may be wanted at a path, so that `8400` must not stay a text."""
    found = type_at(path)
    if get_origin(found) is Literal:
        return not any(isinstance(choice, str) for choice in get_args(found))
    return found in {int, float, bool, Limit, Resume}  # a limit may be written as a number, `resume` as a boolean


def choices_at(path: Path) -> tuple[Any, ...]:
    """The values that a place allows, where there are only some."""
    found = type_at(path)
    return get_args(found) if get_origin(found) is Literal else ()


def models() -> Iterator[type[BaseModel]]:
    """All models of the schema, each once."""
    waiting: list[Any] = [Config]
    seen: set[Any] = set()
    while waiting:
        found = bare(waiting.pop())
        if get_origin(found) in {list, dict}:
            waiting += get_args(found)
        elif isinstance(found, type) and issubclass(found, BaseModel) and found not in seen:
            seen.add(found)
            yield found
            waiting += [field.annotation for field in found.model_fields.values()]


def bare(annotation: Any) -> Any:
    """A type without Annotated and Optional."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, types.UnionType}:
            annotation = next(one for one in get_args(annotation) if one is not types.NoneType)
        else:
            return annotation


def _below(found: Any, part: str | int) -> Any:
    if get_origin(found) is dict and isinstance(part, str):
        return get_args(found)[1]
    if get_origin(found) is list and isinstance(part, int):
        return get_args(found)[0]
    if isinstance(found, type) and issubclass(found, BaseModel) and isinstance(part, str):
        field = found.model_fields.get(part)
        return field.annotation if field else None
    return None
