"""How many requests may run on one host, over all its processes."""

import pytest

from proxy.worker.lifecycle import CountedLifecycle
from proxy.workers.table import Counts, Table


class Task:
    def cancel(self) -> None:
        """It is never asked to."""


def test_the_limit_is_that_of_the_host() -> None:
    table = Table(2)
    one, two = (CountedLifecycle(Counts(table, row)) for row in (0, 1))
    first, second, third = Task(), Task(), Task()

    assert [True, True, False] == [one.admit(first, 2), two.admit(second, 2), one.admit(third, 2)]
    assert (2, 2) == (len(one.running), len(two.running))
    one.over(first)
    assert one.admit(third, 2)
    assert {third} == set(one.running)


def test_one_that_is_in_is_counted_once_however_often_it_asks() -> None:
    table = Table(2)
    one, two = (CountedLifecycle(Counts(table, row)) for row in (0, 1))
    first = Task()

    assert [True, True, True] == [one.admit(first, 1) for _ in range(3)]
    assert (1, 1) == (len(one.running), len(two.running))
    one.over(first)
    assert (0, 0) == (len(one.running), len(two.running))
    assert two.admit(Task(), 1)


def test_one_that_finds_itself_one_too_many_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(2)
    one, two = (CountedLifecycle(Counts(table, row)) for row in (0, 1))
    total = Counts.total

    def nobody_yet(counts: Counts, name: str) -> int:
        """Both look before either is counted."""
        del counts, name
        return 0

    monkeypatch.setattr(Counts, "total", nobody_yet)
    assert one.admit(Task(), 1)
    assert not two.admit(Task(), 1)
    monkeypatch.setattr(Counts, "total", total)
    assert (1, 1) == (len(one.running), len(two.running))
