"""Lines that may come by the thousand: of equal ones, at most one a second is written, and it says how many it is for.

The first is written at once. Those that follow are counted, and told together by the next event of any kind after that
second, or at the end; so nothing is lost, no timer is needed, and `times` adds up to what has happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from proxy.telemetry.lines import Fields

_PAUSE_S = 1.0

Write = Callable[[int, str, Fields], None]
"""Takes a line's level, name and fields."""


@dataclass(slots=True)
class _Held:
    level: int
    name: str
    fields: Fields
    until: float
    times: int = 0


class Floods:
    """Lets few of many equal lines through. Fields come from closed sets, which bounds what is remembered."""

    def __init__(self, write: Write, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._write = write
        self._clock = clock
        self._held: dict[tuple[object, ...], _Held] = {}

    def tell(self, level: int, name: str, fields: Fields) -> None:
        """Write a line, or count it."""
        key = (name, *fields.values())
        held = self._held.get(key)
        if held is not None:
            held.times += 1
            return
        self._held[key] = _Held(level, name, fields, self._clock() + _PAUSE_S)
        self._write(level, name, {**fields, "times": 1})

    def settle(self, *, ends: bool = False) -> None:
        """Write what has been counted for long enough; all of it when the log ends."""
        if not self._held:
            return
        now = math.inf if ends else self._clock()
        for key, held in list(self._held.items()):
            if held.until > now:
                continue
            if held.times:
                self._write(held.level, held.name, {**held.fields, "times": held.times})
                held.times, held.until = 0, now + _PAUSE_S
            else:
                del self._held[key]
