"""What is asked of a server about its models, and what is heard.

A question is a small GET or POST that no model has to answer. Its reader takes whatever came back and never raises:
what it does not understand tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from proxy.core.facts import Learned

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an answer that is read; the longest list of models that is known has one million."""
_MOST_TOKENS: Final = 50_000_000
_LONGEST_NAME: Final = 256
_MOST_ROWS: Final = 5000


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Question(NamedTuple):
    """One question."""

    path: str
    """Below the upstream's address."""
    read: Callable[[Reply], Heard]
    body: bytes | None = None
    """JSON to be posted; None for a GET."""
    at_root: bool = False
    """Whether the path stands beside the `/v1` of the address, and not below it."""


class Heard(NamedTuple):
    """What an answer tells."""

    models: Mapping[str, Learned]
    """By the names that the server uses."""
    others: Learned | None = None
    """What it tells of every model that it does not name."""
    further: tuple[Question, ...] = ()
    """What is to be asked next."""


NOTHING_HEARD: Final = Heard({})


def document_of(reply: Reply) -> dict[str, Any]:
    """The JSON object that was answered with a 200; an empty one for anything else."""
    if reply.status != 200:
        return {}
    try:
        return mapping(msgspec.json.decode(reply.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def rows_of(document: Mapping[str, Any], *keys: str) -> Iterator[dict[str, Any]]:
    """The objects of the first list that stands under one of the keys."""
    found: list[object] = next((document[key] for key in keys if isinstance(document.get(key), list)), [])
    return (row for row in found[:_MOST_ROWS] if isinstance(row, dict))


def mapping(value: object) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def words(value: object) -> frozenset[str] | None:
    """The texts of a list; None for anything else."""
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else None


def name_of(row: Mapping[str, Any], *keys: str) -> str:
    """The name under the first of the keys that has one; empty if there is none."""
    names = (row.get(key) for key in keys)
    return next((name for name in names if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME), "")


def tokens(value: object) -> int | None:
    """A number of tokens that makes sense; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS else None


def flag(value: object) -> bool | None:
    """True or false; None for anything else."""
    return value if isinstance(value, bool) else None


def least(*numbers: int | None) -> int | None:
    """The smallest of those that are known."""
    return min((number for number in numbers if number is not None), default=None)
