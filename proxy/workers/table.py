"""Counts that all processes of one host see at once: attempts under way, places taken, budgets paid from.

Theory of operation: an anonymous piece of memory that the supervisor makes and its workers inherit. It has a column for
each name that is counted and a row for each worker. A row is written by its worker alone, so nothing is ever locked to
count: a limit that holds for the host is asked by first counting oneself in, then adding up the column; whoever finds
that it was one too many counts itself out again. Two that come at the same moment may both find that, and are both
refused; never are both let in.

Columns are found by the hash of their name, in a bucket of eight. Names come and go (clients make up models), so a name
that is new in a full bucket takes the column of one that nobody counts; only this, and nothing on the way of a request,
takes a lock. Where all eight are in use, the name is counted by each worker for itself.

When a worker dies, the supervisor clears its row of what was under way. What adds up over time stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import struct
import tempfile
from collections.abc import Iterator
from typing import Final

_WAYS: Final = 8
_BYTES: Final = 8


class Table:
    """Whole numbers by name and row. Made once, before processes are forked off; all that are share it."""

    def __init__(self, rows: int, columns: int = 8192, *, lasting: bool = False) -> None:
        """`lasting` numbers are never given up for those of another name."""
        self.rows = rows
        self._buckets = max(1, columns // _WAYS)
        self._lasting = lasting
        columns = self._buckets * _WAYS
        self._memory = mmap.mmap(-1, columns * (1 + rows) * _BYTES)
        view = memoryview(self._memory)
        self._names = view[: columns * _BYTES].cast("Q")
        self._values = view[columns * _BYTES :].cast("q")
        # The file is only there to be locked, which the system undoes when a process dies.
        self._lock = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the table
        self._known: dict[str, tuple[int, int]] = {}
        """Columns that were found; a column may have been given to another name since."""
        self._row = struct.Struct(f"={rows}q")
        self._first = columns * _BYTES

    def add(self, name: str, row: int, count: int = 1) -> int | None:
        """Add to a row; the column for `take_back`, or None where there was none to be had."""
        for _ in range(2):
            mark, column = self._column(name)
            if column is None:
                mark, column = self._make(name)
            if column is None:
                return None
            place = column * self.rows + row
            self._values[place] += count
            if self._names[column] == mark:
                return column
            # It was given to another name in between.
            self._values[place] -= count
        return None

    def take_back(self, column: int, row: int, count: int = 1) -> None:
        """Take from a column what was added to it."""
        self._values[column * self.rows + row] -= count

    def total(self, name: str) -> int:
        """The sum over all rows."""
        column = self._column(name)[1]
        return 0 if column is None else self.total_of(column)

    def total_of(self, column: int) -> int:
        """The same of a column that is known."""
        return sum(self._row.unpack_from(self._memory, self._first + column * self._row.size))

    def row_values(self, name: str) -> list[int]:
        """What each row has."""
        column = self._column(name)[1]
        return [0] * self.rows if column is None else list(self._rows_of(column))

    def clear(self, row: int) -> None:
        """Forget what a worker had under way."""
        for column in range(len(self._names)):
            self._values[column * self.rows + row] = 0

    def _column(self, name: str) -> tuple[int, int | None]:
        """The mark of a name, and its column if it has one."""
        known = self._known.get(name)
        if known is not None and self._names[known[1]] == known[0]:
            return known
        mark = _mark(name)
        first = mark % self._buckets * _WAYS
        for column in range(first, first + _WAYS):
            if self._names[column] == mark:
                if len(self._known) >= len(self._names):
                    self._known.clear()
                self._known[name] = mark, column
                return mark, column
        return mark, None

    def _make(self, name: str) -> tuple[int, int | None]:
        """The same, with a column made for it if it has none."""
        with self._locked():
            mark, column = self._column(name)
            if column is None:
                column = self._free(mark)
                if column is not None:
                    self._names[column] = mark
        return mark, column

    def _free(self, mark: int) -> int | None:
        first = mark % self._buckets * _WAYS
        ways = range(first, first + _WAYS)
        new = next((column for column in ways if not self._names[column]), None)
        if new is not None or self._lasting:
            return new
        return next((column for column in ways if not any(self._rows_of(column))), None)

    def _rows_of(self, column: int) -> tuple[int, ...]:
        return self._row.unpack_from(self._memory, self._first + column * self._row.size)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # Imported here, since Windows has none; there is one process there.
        import fcntl  # noqa: PLC0415

        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


class Counts:
    """One worker's hold of a table: it writes its own row, and reads all."""

    __slots__ = ("_table", "row")

    def __init__(self, table: Table, row: int) -> None:
        self._table = table
        self.row = row

    def take(self, name: str) -> tuple[int | None, int]:
        """Count one more: its column, to be given to `free`, and how many the host has with it."""
        column = self._table.add(name, self.row)
        return column, 0 if column is None else self._table.total_of(column)

    def free(self, column: int | None) -> None:
        """Count one less."""
        if column is not None:
            self._table.take_back(column, self.row)

    def total(self, name: str) -> int:
        """How many the host has."""
        return self._table.total(name)

    def add(self, name: str, count: int = 1) -> None:
        """Add to what only grows."""
        self._table.add(name, self.row, count)

    def by_row(self, name: str) -> list[int]:
        """What each worker has added; the own row is `row`."""
        return self._table.row_values(name)


def _mark(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="replace"), digest_size=_BYTES).digest()
    # A zero is a column that has no name.
    return int.from_bytes(digest) or 1
