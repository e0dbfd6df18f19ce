"""What is in force at present, and is swapped as a whole when the configuration changes."""

from __future__ import annotations

from typing import Generic, TypeVar

_T = TypeVar("_T")


class InForce(Generic[_T]):
    """A place for one value. Whoever works on a request takes the value once, and keeps to it until the end."""

    __slots__ = ("now",)

    def __init__(self, now: _T) -> None:
        self.now = now
