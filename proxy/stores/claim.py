"""A claim to a state file: two proxies with one file would each overwrite what the other knows.

The claim is a lock on a file beside it, which the system gives back when the last process that holds it ends, whatever
ended it. The file stays, since removing it would let a third one in between. Where locks do not work (some network
file systems, Windows) there is no claim, and nothing is noticed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

_END = ".lock"


class ClaimedError(Exception):
    """Another process has it; the message says which, as far as it is known."""


class Claim:
    """Held until `close`, or until the process and all that were forked off it have ended."""

    def __init__(self, path: Path | None) -> None:
        """`path` None claims nothing."""
        self._path = path
        self._file: BinaryIO | None = None

    def make(self) -> None:
        """Claim it. Raises ClaimedError when another process has it."""
        if self._path is None:
            return
        try:
            import fcntl  # noqa: PLC0415 - Windows has none
        except ImportError:
            return
        place = Path(os.path.realpath(self._path))
        place = place.with_name(place.name + _END)
        try:
            descriptor = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:
            # Whoever opens the state file itself will say what is wrong with the place.
            return
        file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read(32).decode(errors="replace").strip()
            file.close()
            by = f"process {holder}" if holder.isdecimal() else "another process"
            raise ClaimedError(f"{self._path} is in use by {by}") from None
        except OSError:
            file.close()
            return
        with contextlib.suppress(OSError):
            file.truncate(0)
            file.write(b"%d\n" % os.getpid())
        self._file = file

    def close(self) -> None:
        """Give it up."""
        if self._file is not None:
            self._file.close()
            self._file = None
