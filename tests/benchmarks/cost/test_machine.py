"""What is read from the kernel, of this very process."""

from __future__ import annotations

import os
import time

import pytest

from benchmarks.cost.machine import Cores, Cpu, Stolen, cpu_of, memory_of, pinned


def test_cpu_time_of_a_process_is_what_it_used() -> None:
    before, own = cpu_of(os.getpid()), time.process_time()
    while time.process_time() < own + 0.05:
        pass
    used = cpu_of(os.getpid()).since(before)

    assert 0.05 == pytest.approx(used.total, abs=0.02)


def test_the_difference_of_two_readings() -> None:
    assert Cpu(1.0, 0.5, 0.25) == Cpu(3.0, 1.5, 0.75).since(Cpu(2.0, 1.0, 0.5))


def test_shared_pages_count_once() -> None:
    memory = memory_of(os.getpid())

    assert 1000 < memory.pss <= memory.rss


def test_a_process_that_has_gone_has_used_nothing() -> None:
    assert Cpu() == cpu_of(2**22 + 1)


def test_stolen_time_is_a_share_of_all() -> None:
    assert 0.25 == Stolen(stolen=35, whole=300).share_since(Stolen(stolen=10, whole=200))


@pytest.mark.parametrize(
    ("allowed", "workers", "expected"),
    [
        ({0}, 1, Cores((0,), (0,))),
        ({0, 1}, 1, Cores((0,), (1,))),
        ({0, 1}, 2, Cores((0, 1), (1,))),
        ({2, 3, 5}, 2, Cores((2, 3), (5,))),
    ],
)
def test_the_ends_have_a_core_of_their_own_where_there_are_enough(
    allowed: set[int], workers: int, expected: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)

    assert expected == Cores.shared_out(workers)


def test_pinning() -> None:
    assert ["taskset", "-c", "0,1"] == pinned((0, 1))
