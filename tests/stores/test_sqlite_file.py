"""Files that are not what the store left behind."""

import os
import random
import sqlite3
import stat
from pathlib import Path

import pytest

from proxy.core.event import StoreRecovered, StoreTrouble
from proxy.stores.sqlite import SqliteStore
from tests.stores.files import change, content_of, move_away, put, set_mode
from tests.stores.told import Told, fill, kept_in

VALUES = {f"k{number}": b"%d" % number * 200 for number in range(40)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


async def finds_nothing_and_begins_anew(path: Path) -> str:
    """A store on this file sets it aside and goes on; gives what it told."""
    told = Told()
    store = SqliteStore(path, told)
    assert {} == await store.load()
    assert [StoreTrouble] == [type(event) for event in told.events]
    store.save({"new": b"value"})
    await store.close()
    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]
    assert {"new": b"value"} == await kept_in(path)
    return told.problems[0]


async def test_files_are_for_their_owner_only(path: Path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(path, Told())
        store.save({"a": b"1"})
        await store.flush()
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)

    assert dict.fromkeys(["state.db", "state.db-wal", "state.db-shm"], 0o600) == modes


async def test_any_name_will_do(path: Path) -> None:
    odd = path.with_name("a?mode=ro&b#c%20d ü.db")
    await fill(odd, VALUES)

    assert await kept_in(odd) == VALUES
    assert [odd.name] == [each.name for each in odd.parent.iterdir()]


async def test_a_file_says_whose_it_is(path: Path) -> None:
    await fill(path, VALUES)
    connection = sqlite3.connect(path)
    assert ("wal",) == connection.execute("PRAGMA journal_mode").fetchone()
    assert (1,) == connection.execute("PRAGMA user_version").fetchone()
    connection.close()


@pytest.mark.parametrize("content", [b"", b"x"])  # SQLite itself takes one byte for none
async def test_an_empty_file_is_a_new_one(path: Path, content: bytes) -> None:
    put(path, content)
    path.with_name("state.db-wal").write_bytes(b"left behind by another file")

    assert {} == await kept_in(path)


@pytest.mark.parametrize(
    "content",
    [
        random.Random(1).randbytes(50_000),
        b"xy",
        b"\x00" * 4096,
        b"routes:\n  chat:\n    chain: [openai/gpt-4o]\n" * 100,
        b"SQLite format 3\x00",
        b"SQLite format 3\x00" + random.Random(2).randbytes(8176),
    ],
)
async def test_not_a_database(path: Path, content: bytes) -> None:
    put(path, content)

    assert "renamed to state.db.broken-1" in await finds_nothing_and_begins_anew(path)
    assert content == path.with_name("state.db.broken-1").read_bytes()


@pytest.mark.parametrize("size", [2, 15, 16, 50, 99, 100, 511, 512, 1000, 4095, 4096, 4097, 8192, 16_384])
async def test_truncated(path: Path, size: int) -> None:
    await fill(path, VALUES)
    put(path, content_of(path)[:size])

    assert "broken-1" in await finds_nothing_and_begins_anew(path)


async def test_every_damaged_byte_is_survived(path: Path) -> None:
    await fill(path, VALUES)
    whole = content_of(path)
    places = random.Random(3)
    for number in range(100):
        position = places.randrange(100, len(whole)) if number % 2 else number
        if position == 18:  # a byte that means read-only, and is believed
            continue
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        put(path, bytes(damaged))
        store = SqliteStore(path, Told())
        await store.load()
        store.save({"new": b"value"})
        await store.close()

        assert b"value" == (await kept_in(path))["new"]


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (("PRAGMA user_version=2",), "version 2"),
        (("PRAGMA application_id=1",), "another program"),
        (("PRAGMA application_id=0", "PRAGMA user_version=0"), "another program"),
        (('DROP TABLE "values"',), "damaged"),
        (('ALTER TABLE "values" RENAME COLUMN value TO other',), "damaged"),
    ],
)
async def test_of_another_version_or_program(path: Path, statements: tuple[str, ...], words: str) -> None:
    await fill(path, VALUES)
    change(path, *statements)

    assert words in await finds_nothing_and_begins_anew(path)


async def test_broken_files_are_all_kept_with_their_siblings(path: Path) -> None:
    for number in range(1, 4):
        put(path, b"broken %d" % number * 100)
        path.with_name("state.db-wal").write_bytes(b"wal %d" % number)
        told = await finds_nothing_and_begins_anew(path)
        assert f"state.db.broken-{number}, " in told

    for number in range(1, 4):
        assert b"broken %d" % number * 100 == path.with_name(f"state.db.broken-{number}").read_bytes()
        assert b"wal %d" % number == path.with_name(f"state.db.broken-{number}-wal").read_bytes()


async def test_values_of_the_wrong_kind_are_left_out_and_odd_times_not_believed(path: Path) -> None:
    await fill(path, {"good": b"1"})
    change(
        path,
        "INSERT INTO \"values\" SELECT 'inf', value, 9e999, boot FROM \"values\" WHERE key='good'",
        "INSERT INTO \"values\" SELECT 'minus', value, -9e999, boot FROM \"values\" WHERE key='good'",
        "INSERT INTO \"values\" SELECT 'null', value, NULL, NULL FROM \"values\" WHERE key='good'",
        "INSERT INTO \"values\" SELECT 'words', value, 'yesterday', 7 FROM \"values\" WHERE key='good'",
        "INSERT INTO \"values\" VALUES ('text', 'not bytes', 1.0, 'boot')",
        "INSERT INTO \"values\" VALUES (NULL, x'00', 1.0, 'boot')",
        "INSERT INTO \"values\" VALUES (x'ff', x'00', 1.0, 'boot')",
        "INSERT INTO \"values\" VALUES ('huge', zeroblob(5000000), 1.0, 'boot')",
        "INSERT INTO \"values\" VALUES (CAST(x'ff61' AS TEXT), x'00', 1.0, 'boot')",
    )
    told = Told()
    store = SqliteStore(path, told)
    loaded = await store.load()
    await store.close()

    assert [] == told.events
    assert {"good", "inf", "minus", "null", "words", "\ufffda"} == set(loaded)
    assert {None} == {saved.age for key, saved in loaded.items() if key != "good"}


async def test_a_directory_in_its_place_is_left_alone(path: Path) -> None:
    (path / "precious").mkdir(parents=True)
    told = Told()
    store = SqliteStore(path, told)
    assert {} == await store.load()
    store.save({"a": b"1"})
    await store.close()

    assert [f"{path} cannot be read: it is not a file; what was saved before is left out"] == told.problems
    assert (path / "precious").exists()


async def test_a_pipe_in_its_place_stops_nothing(path: Path) -> None:
    os.mkfifo(path)
    told = Told()
    store = SqliteStore(path, told)
    store.save({"a": b"1"})
    await store.close()

    assert "it is not a file" in told.problems[0]


@pytest.mark.parametrize("name", ["missing/state.db", "a\x00b", "x" * 300])
async def test_places_that_cannot_be(tmp_path: Path, name: str) -> None:
    told = Told()
    store = SqliteStore(f"{tmp_path}/{name}", told)
    assert {} == await store.load()
    store.save({"a": b"1"})
    await store.close()

    assert 1 == len(told.events)


async def test_a_directory_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "later" / "state.db"
    told = Told()
    store = SqliteStore(path, told)
    store.save({"a": b"1"})
    await store.flush()
    assert "its directory does not exist" in told.problems[0]
    path.parent.mkdir()
    await store.close()

    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]
    assert {"a": b"1"} == await kept_in(path)


async def test_a_read_only_directory(path: Path) -> None:
    path.parent.chmod(0o500)
    if os.access(path.parent, os.W_OK):
        pytest.skip("nothing is read-only for root")
    told = Told()
    store = SqliteStore(path, told)
    assert {} == await store.load()
    path.parent.chmod(0o700)
    store.save({"a": b"1"})
    await store.close()

    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]


async def test_a_read_only_file_is_read_and_written_when_it_can_be(path: Path) -> None:
    await fill(path, {"a": b"1"})
    set_mode(path, 0o400)
    if os.access(path, os.W_OK):
        pytest.skip("nothing is read-only for root")
    told = Told()
    store = SqliteStore(path, told)
    assert b"1" == (await store.load())["a"].value
    store.save({"a": b"2"})
    await store.flush()
    assert 1 == len(told.problems)
    set_mode(path, 0o600)
    await store.close()

    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]
    assert {"a": b"2"} == await kept_in(path)


async def test_broken_and_not_to_be_renamed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    put(path, b"not a database" * 100)
    told = Told()
    store = SqliteStore(path, told)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        assert {} == await store.load()
        store.save({"a": b"1"})
        await store.flush()
    (problem,) = told.problems
    assert "it is not a database, and cannot be set aside: Permission denied" in problem
    await store.close()

    assert {"a": b"1"} == await kept_in(path)


async def test_a_file_that_is_deleted_or_broken_meanwhile_is_written_anew_in_full(path: Path) -> None:
    await fill(path, {"loaded": b"1", "gone": b"1"})
    told = Told()
    store = SqliteStore(path, told)
    await store.load()
    store.save({"written": b"2", "gone": None})
    await store.flush()
    move_away(path)
    store.save({"later": b"3"})
    await store.flush()
    assert [] == told.events
    move_away(path)
    put(path, b"not a database" * 100)
    store.save({"last": b"4"})
    await store.close()

    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]
    assert {"loaded": b"1", "written": b"2", "later": b"3", "last": b"4"} == await kept_in(path)


async def test_through_a_link(tmp_path: Path) -> None:
    link, real = tmp_path / "state.db", tmp_path / "elsewhere"
    real.mkdir()
    link.symlink_to(real / "real.db")
    put(real / "real.db", b"not a database" * 100)
    await finds_nothing_and_begins_anew(link)

    assert link.is_symlink()
    assert {"real.db", "real.db.broken-1"} == {each.name for each in real.iterdir()}
