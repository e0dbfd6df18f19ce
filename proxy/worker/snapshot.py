"""What a worker that joins has to know, and how a configuration travels between processes of this very program."""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from proxy.config.settings import Settings
from proxy.control.source import Mark
from proxy.pool.budgets import Budgets
from proxy.pool.shared import Known


class Configuration(NamedTuple):
    """One that was put in force."""

    settings: Settings
    shown: Mapping[str, Any]
    """The file as it is written, with secrets masked."""
    simulator_url: str | None
    mark: Mark | None
    """Of the file as it was read."""


class Snapshot(NamedTuple):
    """All in one, so that what is one object stays one."""

    configuration: Configuration
    last_reload: Mapping[str, object] | None
    known: Known
    budgets: tuple[Budgets, dict[str, list[int]]]
    hour: int
    audit: list[Any]
    last_event: int


def pickled(value: object) -> bytes:
    """A value, to be sent to another worker."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpickled(value: bytes) -> Any:
    """The value that another worker has sent."""
    return pickle.loads(value)  # noqa: S301 - from our own processes


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


# Settings have read-only mappings, which the library forgot.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))
