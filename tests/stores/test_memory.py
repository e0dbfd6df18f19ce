"""The store that forgets."""

from proxy.stores.memory import MemoryStore
from proxy.stores.store import Saved, Store

_NOW: tuple[str | None, float] = ("boot", 100.0)


async def test_gives_back_what_it_was_given() -> None:
    store: Store = MemoryStore(lambda: _NOW)
    store.save({"a": b"1", "b": b"2"})
    store.save({"a": b"3", "b": None, "c": None})
    await store.flush()

    assert {"a": Saved(b"3", 0.0)} == await store.load()


async def test_values_age() -> None:
    clock = iter([("boot", 100.0), ("boot", 150.0), ("boot", 160.0), ("other", 5.0)])
    store = MemoryStore(lambda: next(clock))
    store.save({"a": b"1"})
    store.save({"b": b"2"})

    assert {"a": 60.0, "b": 10.0} == {key: saved.age for key, saved in (await store.load()).items()}
    assert {"a": None, "b": None} == {key: saved.age for key, saved in (await store.load()).items()}


async def test_outlives_its_closing() -> None:
    store = MemoryStore()
    store.save({"a": b"1"})
    await store.close()

    assert b"1" == (await store.load())["a"].value
