"""A store that forgets everything when the process ends."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.stores.store import Saved
from proxy.stores.uptime import BootClock, Moment, age, boot_clock


class MemoryStore:
    """Keeps values for as long as it exists; closing it forgets nothing."""

    def __init__(self, boot_clock: BootClock = boot_clock) -> None:
        self._boot_clock = boot_clock
        self._kept: dict[str, tuple[bytes, Moment]] = {}

    async def load(self) -> dict[str, Saved]:
        """See `Store`."""
        now = Moment(*self._boot_clock())
        return {key: Saved(value, age(then, now)) for key, (value, then) in self._kept.items()}

    def save(self, values: Mapping[str, bytes | None]) -> None:
        """See `Store`."""
        now = Moment(*self._boot_clock())
        for key, value in values.items():
            if value is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = value, now

    async def flush(self) -> None:
        """See `Store`. Nothing is ever queued."""

    async def close(self) -> None:
        """See `Store`."""
