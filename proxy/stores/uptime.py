"""The clock by which values age: one that runs on while the process does not.

The wall clock is not it, because people and time servers set it. The time since boot cannot be set and includes
suspension, but means something only together with which boot it was.
"""

from __future__ import annotations

import functools
import math
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Moment(NamedTuple):
    """A point in time. Two of them can be compared when they are of the same, known boot."""

    boot: str | None
    """Which boot it was; None when that cannot be told."""
    seconds: float
    """Since that boot."""


BootClock = Callable[[], tuple[str | None, float]]
"""Gives the boot's identity and the seconds since it: the parts of a `Moment`."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_clock() -> tuple[str | None, float]:
    """Which boot this is (None where the system has no identity for it), and the seconds since then."""
    return _boot_identity(_BOOT_ID), _seconds_since_boot()


def age(then: Moment, now: Moment) -> float | None:
    """Seconds from one moment to the other; None when that cannot be known, or is no time that can have passed."""
    if then.boot is None or then.boot != now.boot:
        return None
    passed = now.seconds - then.seconds
    return passed if 0 <= passed < math.inf else None


@functools.cache
def _boot_identity(path: Path) -> str | None:
    try:
        identity = uuid.UUID(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None
    # Sandboxes that imitate /proc may give the same zeros at every boot.
    return str(identity) if identity.int else None


def _seconds_since_boot() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
