"""A timer of the kernel's that an event loop can wait for: libuv's own are a millisecond coarse."""

from __future__ import annotations

import ctypes
import os
import time

_MONOTONIC = 1
_AT_A_MOMENT = 1


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Moment), ("first", _Moment))


def every(interval_s: float) -> tuple[int, float]:
    """A descriptor that becomes readable each time, and the moment of the first, by the monotonic clock."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
    first = time.monotonic() + 0.01
    setting = _Setting(_moment(interval_s), _moment(first))
    if descriptor < 0 or libc.timerfd_settime(descriptor, _AT_A_MOMENT, ctypes.byref(setting), None):
        raise OSError(ctypes.get_errno(), "no timer")
    return descriptor, first


def passed(descriptor: int) -> int:
    """How many times it was due since the last look."""
    return int.from_bytes(os.read(descriptor, 8), "little")


def _moment(seconds: float) -> _Moment:
    nanoseconds = round(seconds * 1e9)
    return _Moment(nanoseconds // 10**9, nanoseconds % 10**9)
