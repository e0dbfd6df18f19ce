"""What a worker that joins has to know, and how settings travel between processes of this very program."""

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


class Snapshot(NamedTuple):
    """All in one, so that what is one object stays one."""

    settings: Settings
    config: Mapping[str, Any]
    simulator_url: str | None
    last_reload: Mapping[str, object] | None
    mark: Mark | None
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
