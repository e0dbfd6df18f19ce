"""One SQLite file of named values: what is in it, and what is done when it cannot be used.

A file that is not, or no longer, what this proxy wrote is renamed, never overwritten, and a new one takes its place. A
file that cannot be reached at present (locked, read-only, disk full) is left alone. Everything here blocks, and belongs
to the one thread that calls it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from proxy.stores.store import LARGEST_VALUE
from proxy.stores.uptime import Moment

_APPLICATION_ID = 0x484F4C44
_VERSION = 1
_BUSY_S = 2.0
"""How long another process's write is waited for."""
_SIBLINGS = ("-wal", "-shm", "-journal")
_COLUMNS = {"key", "value", "saved_at", "boot"}
_NO_GOOD = {sqlite3.SQLITE_CORRUPT: "is damaged", sqlite3.SQLITE_NOTADB: "is not a database"}
_SCHEMA = (
    'CREATE TABLE IF NOT EXISTS "values" (key TEXT PRIMARY KEY, value BLOB, saved_at REAL, boot TEXT)',
    f"PRAGMA application_id={_APPLICATION_ID}",
    f"PRAGMA user_version={_VERSION}",
)
_READ = 'SELECT key, value, saved_at, boot FROM "values" WHERE typeof(key)=? AND typeof(value)=? AND length(value)<=?'
_WRITE = 'INSERT OR REPLACE INTO "values" (key, value, saved_at, boot) VALUES (?, ?, ?, ?)'
_DELETE = 'DELETE FROM "values" WHERE key=?'


class Kept(NamedTuple):
    """A value, or None where there is to be none, and when that was said."""

    value: bytes | None
    at: Moment


class Outcome(NamedTuple):
    """What came of reading or writing."""

    values: dict[str, Kept]
    failure: str | None = None
    """Why it could not be done, for people; None when it was done."""
    set_aside: str | None = None
    """For people: which file was no good, and where it is now. It may have been done all the same, on a new one."""


class _NoGoodError(Exception):
    """The file is there, and can never be used. Says what is wrong with it."""


class SqliteFile:
    """The file, open or not. After any failure it is closed, and the next call opens it anew."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._real = Path()
        self._identity: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._begun = False
        self._known: dict[str, Kept] = {}

    def read(self) -> Outcome:
        """Everything in the file, after a check of the whole of it."""
        self.close()
        outcome = self._attempt(_read_all, "read")
        self._known.update(outcome.values)
        return outcome

    def write(self, batch: Mapping[str, Kept]) -> Outcome:
        """Write all of the batch or nothing of it."""

        def work(connection: sqlite3.Connection) -> dict[str, Kept]:
            # A file that took the place of another has nothing yet of what the other had.
            _write_all(connection, self._known | dict(batch) if self._begun else batch)
            return {}

        outcome = self._attempt(work, "written")
        if outcome.failure is None:
            self._begun = False
            self._known = {key: kept for key, kept in (self._known | dict(batch)).items() if kept.value is not None}
        return outcome

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], dict[str, Kept]], verb: str) -> Outcome:
        """Do it on this file, or on the one that takes its place."""
        set_aside = None
        try:
            try:
                values = work(self._open())
            except (sqlite3.Error, _NoGoodError) as error:
                if (reason := _no_good(error)) is None:
                    raise
                # Closed first, SQLite would tidy up what it makes of the siblings; what has moved it leaves alone.
                set_aside = self._set_aside(reason)
                self.close()
                values = work(self._open())
        except (sqlite3.Error, OSError, ValueError, _NoGoodError) as error:
            self.close()
            return Outcome({}, f"{self._path} cannot be {verb}: {_plain(error)}", set_aside)
        return Outcome(values, None, set_aside)

    def _open(self) -> sqlite3.Connection:
        # Whoever moves or deletes the file while it is open gets a new one, instead of writes that nobody will find.
        if self._connection is not None and self._identity == _identity(self._real):
            return self._connection
        self.close()
        # SQLite puts the siblings beside the file that a link leads to, and so must the renaming.
        self._real = Path(os.path.realpath(self._path))
        _create_if_missing(self._real)
        self._identity = _identity(self._real)
        _even_modes(self._real)
        # mode=rw does not create: a file that another process renames just now must not come back readable for all.
        name = f"{self._real.as_uri()}?mode=rw"
        self._connection = sqlite3.connect(name, uri=True, timeout=_BUSY_S, isolation_level=None)
        self._connection.text_factory = _lenient_text
        # All of the look in one transaction, or another process's beginning of the file would be seen by half.
        self._connection.execute("BEGIN")
        new = _is_new(self._connection)
        self._connection.execute("COMMIT")
        if new:
            _begin(self._connection)
            self._begun = True
        self._connection.execute("PRAGMA synchronous=NORMAL")
        return self._connection

    def _set_aside(self, reason: str) -> str:
        """Rename the file and what belongs to it; says what was done."""
        # Another process may find the same, and be quicker.
        replaced = f"{self._path} {reason}; another process has set it aside"
        if self._identity != _identity(self._real):
            return replaced
        target = _free_name(self._real)
        # The siblings go first: once the file is gone, those in their places may be another process's new ones.
        for end in _SIBLINGS:
            with contextlib.suppress(OSError):
                _beside(self._real, end).rename(_beside(target, end))
        try:
            self._real.rename(target)
        except FileNotFoundError:
            return replaced
        except OSError as error:
            raise _NoGoodError(f"it {reason}, and cannot be set aside: {_plain(error)}") from error
        return f"{self._path} {reason}; it was renamed to {target.name}, and a new file was begun"


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _free_name(path: Path) -> Path:
    for number in itertools.count(1):
        target = _beside(path, f".broken-{number}")
        if not any(os.path.lexists(_beside(target, end)) for end in ("", *_SIBLINGS)):
            break
    return target


def _create_if_missing(path: Path) -> None:
    """Make sure of a file that SQLite may open. SQLite would let others read it; the siblings get its mode."""
    if not path.parent.is_dir():
        raise OSError("its directory does not exist")
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if not stat.S_ISREG(path.stat().st_mode):
        # Opening a pipe would wait for ever; a directory is a slip in the configuration, and full of other things.
        raise OSError("it is not a file")


def _even_modes(path: Path) -> None:
    """Let the siblings follow the file. They got its mode when they were made, and keep a read-only one for ever."""
    mode = stat.S_IMODE(path.stat().st_mode)
    for end in _SIBLINGS:
        with contextlib.suppress(OSError):
            sibling = _beside(path, end)
            if stat.S_IMODE(sibling.stat().st_mode) != mode:
                sibling.chmod(mode)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _is_new(connection: sqlite3.Connection) -> bool:
    """Whether there is nothing in the file yet. What is in it must be ours, and whole."""
    try:
        if _number(connection, "application_id") or _number(connection, "user_version"):
            _check(connection)
            return False
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
            return True
    except sqlite3.OperationalError as error:
        if _kind(error) == sqlite3.SQLITE_ERROR:
            # These statements have no error in them, so SQLite does not understand the file.
            raise _NoGoodError(f"is of no known format ({error})") from error
        raise
    raise _NoGoodError("belongs to another program")


def _check(connection: sqlite3.Connection) -> None:
    if _number(connection, "application_id") != _APPLICATION_ID:
        raise _NoGoodError("belongs to another program")
    if (version := _number(connection, "user_version")) != _VERSION:
        raise _NoGoodError(f"is of version {version} and this program knows version {_VERSION}")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _NoGoodError("is damaged")
    if not {row[1] for row in connection.execute('PRAGMA table_info("values")')} >= _COLUMNS:
        raise _NoGoodError("is damaged: its table is missing")


def _begin(connection: sqlite3.Connection) -> None:
    # The journal's mode stays with the file. While another process has the file open it cannot be changed, and the
    # other has done it; without it the file is as safe, and only slower.
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("COMMIT")


def _read_all(connection: sqlite3.Connection) -> dict[str, Kept]:
    rows = connection.execute(_READ, ("text", "blob", LARGEST_VALUE))
    return {key: Kept(value, _moment(saved_at, boot)) for key, value, saved_at, boot in rows}


def _write_all(connection: sqlite3.Connection, batch: Mapping[str, Kept]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_DELETE, [(key,) for key, kept in batch.items() if kept.value is None])
    connection.executemany(
        _WRITE,
        [(key, kept.value, kept.at.seconds, kept.at.boot) for key, kept in batch.items() if kept.value is not None],
    )
    connection.execute("COMMIT")


def _moment(saved_at: object, boot: object) -> Moment:
    if isinstance(saved_at, int | float) and isinstance(boot, str):
        return Moment(boot, float(saved_at))
    return Moment(None, 0.0)


def _lenient_text(text: bytes) -> str:
    return text.decode(errors="replace")


def _no_good(error: sqlite3.Error | _NoGoodError) -> str | None:
    """What is wrong with the file for ever; None when it may be well again."""
    if isinstance(error, _NoGoodError):
        return str(error)
    return _NO_GOOD.get(_kind(error))


def _kind(error: sqlite3.Error) -> int:
    # The lower byte is the kind of error, the others are details of it.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _plain(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
