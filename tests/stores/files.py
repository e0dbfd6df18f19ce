"""What happens to files behind a store's back."""

import sqlite3
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def set_mode(path: Path, mode: int) -> None:
    path.chmod(mode)


def move_away(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).rename(path.with_name("moved" + end))


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
