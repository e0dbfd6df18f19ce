"""Counts that all processes of a host see."""

import os

from proxy.workers.table import Counts, Table


def test_the_sum_of_all_rows() -> None:
    table = Table(3)
    one, two = Counts(table, 0), Counts(table, 2)
    place, first = one.take("a/m")
    _, second = two.take("a/m")

    assert (1, 2, 2) == (first, second, one.total("a/m"))
    one.free(place)
    assert (1, 0) == (two.total("a/m"), two.total("b/m"))


def test_what_a_process_forked_off_counts() -> None:
    table = Table(2)
    pid = os.fork()
    if pid == 0:
        table.add("a/m", 1, 5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert 5 == table.total("a/m")

    table.clear(1)
    assert 0 == table.total("a/m")


def test_a_name_that_nobody_counts_makes_room() -> None:
    table = Table(1, columns=8)
    counts = Counts(table, 0)
    held = [counts.take(f"a/{number}") for number in range(8)]

    assert (None, 0) == counts.take("a/more")
    counts.free(held[3][0])
    place, total = counts.take("a/more")
    assert 1 == total == counts.total("a/more")
    assert 0 == counts.total("a/3")
    assert [1] * 7 == [counts.total(f"a/{number}") for number in range(8) if number != 3]
    counts.free(place)


def test_what_lasts_makes_no_room() -> None:
    table = Table(1, columns=8, lasting=True)
    counts = Counts(table, 0)
    for number in range(8):
        counts.add(f"{number}")
        counts.add(f"{number}", -1)
    counts.add("more")

    assert ([0], 0) == (counts.by_row("more"), counts.total("more"))


def test_columns_are_not_confused() -> None:
    table = Table(4)
    counts = [Counts(table, row) for row in range(4)]
    for number in range(500):
        counts[number % 4].add(f"u/{number}", number)

    found = [counts[0].total(f"u/{number}") for number in range(500)]
    # A bucket may be full; what is counted is never another's.
    assert all(total in {0, number} for number, total in enumerate(found))
    assert 490 < sum(total == number for number, total in enumerate(found))
