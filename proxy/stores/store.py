"""Named values that outlive the process, and what every place that keeps them promises.

A store knows nothing of what its values mean. Whatever happens to the place where they are kept, it never raises and
never makes a request wait: it tells of trouble as an event, and goes on in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

LARGEST_VALUE = 1024 * 1024
"""Bytes. A larger value is refused, wherever it would be kept for longer than the process."""


class Saved(NamedTuple):
    """A value as it was saved last."""

    value: bytes
    age: float | None
    """Seconds since then, whether or not the process ran; None when nobody can know, as after a reboot."""


class Store(Protocol):
    """A place for named values. All of it is called in the event loop's thread, and only while the loop runs."""

    async def load(self) -> dict[str, Saved]:
        """Everything that is saved, with what was queued before. Never raises: trouble is told, and gives {}."""

    def save(self, values: Mapping[str, bytes | None]) -> None:
        """Queue values, to be written together; None deletes. Never waits, never raises.

        A later value of a key replaces a queued one; keys that are not named keep theirs.
        """

    async def flush(self) -> None:
        """Wait until what was queued is written, or trouble with it has been told."""

    async def close(self) -> None:
        """Flush, and let go of everything. What is saved afterwards is lost; closing again does nothing."""
