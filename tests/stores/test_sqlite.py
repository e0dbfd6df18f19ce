"""Values that outlive the process, and a loop that never waits for them."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from proxy.core.event import StoreRecovered, StoreTrouble
from proxy.stores import sqlite, sqlite_file
from proxy.stores.sqlite import SqliteStore
from proxy.stores.sqlite_file import Kept, Outcome
from proxy.stores.store import LARGEST_VALUE, Store
from tests.stores.told import Told, fill, kept_in


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


class SmallDisk(sqlite3.Connection):
    """As if the disk had room for a few pages only."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.execute("PRAGMA max_page_count=5")


class ReadOnly(sqlite3.Connection):
    """As if nothing could be written."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.execute("PRAGMA query_only=ON")


class OutOfWords(sqlite3.Connection):
    """Fails without saying what kind of error it is."""

    def executemany(self, *args: object) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("database or disk is full")


BIG = bytes(20_000)


async def test_gives_back_what_it_was_given(path: Path) -> None:
    await fill(path, {"a": b"1", "b": b"2", "": b"", "ü\x00\n": b"\x00\xff"})
    store: Store = SqliteStore(path, Told())
    store.save({"b": None, "a": b"3", "never": None})
    await store.close()

    assert {"a": b"3", "": b"", "ü\x00\n": b"\x00\xff"} == await kept_in(path)


async def test_load_includes_what_is_queued(path: Path) -> None:
    store = SqliteStore(path, Told())
    store.save({"a": b"1"})

    assert b"1" == (await store.load())["a"].value
    await store.close()


async def test_values_age_through_restarts(path: Path) -> None:
    for now, key in ((("boot", 100.0), "old"), (("boot", 150.0), "new")):
        store = SqliteStore(path, Told(), lambda now=now: now)  # type: ignore[misc]
        store.save({key: b"x"})
        await store.close()

    async def ages(*now: tuple[str | None, float]) -> list[dict[str, float | None]]:
        store = SqliteStore(path, Told(), iter(now).__next__)
        found = [{key: saved.age for key, saved in (await store.load()).items()} for _ in now]
        await store.close()
        return found

    assert [
        {"old": 60.0, "new": 10.0},
        {"old": 20.0, "new": None},  # the clock went back, which it never does: nothing is believed
        {"old": None, "new": None},
        {"old": None, "new": None},
    ] == await ages(("boot", 160.0), ("boot", 120.0), ("other", 160.0), (None, 160.0))


async def test_no_identity_no_age(path: Path) -> None:
    store = SqliteStore(path, Told(), lambda: (None, 100.0))
    store.save({"a": b"1"})

    assert (await store.load())["a"].age is None
    await store.close()


async def test_bursts_are_written_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path, Told())
    batches: list[Mapping[str, Kept]] = []
    write = store._file.write

    def counted(batch: Mapping[str, Kept]) -> Outcome:
        batches.append(batch)
        return write(batch)

    monkeypatch.setattr(store._file, "write", counted)
    for number in range(1000):
        store.save({f"k{number % 10}": b"%d" % number})
    await store.close()

    assert 2 == len(batches)
    assert {f"k{number}": b"%d" % (990 + number) for number in range(10)} == await kept_in(path)


async def test_the_loop_does_not_wait_for_a_locked_file(path: Path) -> None:
    await fill(path, {"a": b"0"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told = Told()
    store = SqliteStore(path, told)
    for number in range(100):
        store.save({"a": b"%d" % number})
        await asyncio.sleep(0)
    assert {"a"} == set(store._queued)
    other.execute("COMMIT")
    other.close()
    await store.close()

    assert [] == told.events
    assert {"a": b"99"} == await kept_in(path)


async def test_closing_ends_the_thread(path: Path) -> None:
    store = SqliteStore(path, Told())
    store.save({"a": b"1"})
    await store.flush()
    assert any(each.name.startswith("holdfast-state") for each in threading.enumerate())
    await asyncio.gather(store.close(), store.close())
    store.save({"a": b"2"})
    await store.flush()
    await store.close()

    assert {} == await store.load()
    assert not any(each.name.startswith("holdfast-state") for each in threading.enumerate())
    assert {"a": b"1"} == await kept_in(path)


@pytest.mark.parametrize(
    ("connection", "words"),
    [(SmallDisk, "disk is full"), (ReadOnly, "readonly"), (OutOfWords, "disk is full")],
)
async def test_trouble_is_told_once_and_costs_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, connection: type[sqlite3.Connection], words: str
) -> None:
    await fill(path, {"a": b"0", "b": b"0"})
    told = Told()
    store = SqliteStore(path, told)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=connection))
        for number in range(10):
            store.save({"a": BIG, f"k{number}": b"x", "b": None})
            await store.flush()
        store.save({"a": b"latest"})
    assert 1 == len(told.events)
    assert words in told.problems[0] and str(path) in told.problems[0]
    await store.close()

    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]
    assert {"a": b"latest"} | {f"k{number}": b"x" for number in range(10)} == await kept_in(path)


async def test_tries_again_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_FIRST_PAUSE_S", 0.0)
    told = Told()
    store = SqliteStore(path, told)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=ReadOnly))
        store.save({"a": b"1"})
        await told.until(StoreTrouble)
    await told.until(StoreRecovered)
    await store.close()

    assert {"a": b"1"} == await kept_in(path)


async def test_pauses_grow_and_saving_does_not_cut_them_short(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path, Told())
    pauses: list[float] = []
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=ReadOnly))
        for _ in range(8):
            store.save({"a": b"1"})
            assert (store._writing is None) == bool(pauses)
            pauses.append(store._pause)
            await store.flush()
    await store.flush()

    assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses
    assert 1 == store._pause
    await store.close()


async def test_locked_for_longer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_S", 0.01)
    await fill(path, {"a": b"0"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told = Told()
    store = SqliteStore(path, told)
    assert b"0" == (await store.load())["a"].value
    store.save({"a": b"1"})
    await store.flush()
    assert "locked" in told.problems[0]
    other.execute("ROLLBACK")
    other.close()
    await store.close()

    assert {"a": b"1"} == await kept_in(path)


async def test_what_can_never_be_saved_is_refused_and_told_once(path: Path) -> None:
    await fill(path, {"big": b"before"})
    told = Told()
    store = SqliteStore(path, told)
    for _ in range(3):
        store.save({"big": bytes(LARGEST_VALUE + 1), "\ud800": b"x", "fits": bytes(LARGEST_VALUE)})
        await store.flush()
    assert 2 == len(told.events)
    assert "'big' is not saved" in told.problems[0]
    assert {"big": b"before", "fits": bytes(LARGEST_VALUE)} == await kept_in(path)
    store.save({"big": b"small again", "\ud800": None})
    await store.close()

    assert 2 == len(told.events), "a name that is not text stays refused"


async def test_a_value_that_fits_again(path: Path) -> None:
    told = Told()
    store = SqliteStore(path, told)
    store.save({"big": bytes(LARGEST_VALUE + 1)})
    store.save({"big": b"small"})
    await store.close()

    assert [StoreTrouble, StoreRecovered] == [type(event) for event in told.events]


async def test_two_stores_on_one_file(path: Path) -> None:
    told = Told()
    stores = [SqliteStore(path, told) for _ in range(3)]
    for number in range(30):
        for index, store in enumerate(stores):
            store.save({"shared": b"%d" % number, f"own{index}": b"%d" % number})
        await asyncio.gather(*(store.flush() for store in stores))
    for store in stores:
        await store.close()

    assert [] == told.events
    assert dict.fromkeys(["shared", "own0", "own1", "own2"], b"29") == await kept_in(path)


_CHILD = """
import asyncio, sys
from proxy.stores.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1], print)
    last = await store.load()
    number = int(last["k0"].value[:8]) if last else 0
    while True:
        number += 1
        store.save({f"k{index}": b"%08d" % number * 1000 * (index + 1) for index in range(5)})
        await store.flush()
        print(number, flush=True)

asyncio.run(main())
"""


def test_killed_in_the_middle_of_writing(path: Path) -> None:
    before = 0
    for _ in range(5):
        command = [sys.executable, "-c", _CHILD, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 our own program
            assert child.stdout is not None
            for _ in range(random.randint(10, 60)):
                written = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        values = asyncio.run(kept_in(path))
        (number,) = {int(value[:8]) for value in values.values()}

        assert {f"k{index}": b"%08d" % number * 1000 * (index + 1) for index in range(5)} == values
        assert number >= written > before
        before = number
