"""A test in virtual time ends, or says who keeps it from ending."""

import asyncio

import pytest

from tests.support import virtual_time
from tests.support.virtual_time import NoEndError, run_virtual


def test_waiting_takes_exactly_its_time() -> None:
    async def scenario() -> float:
        clock = asyncio.get_running_loop().time
        started = clock()
        await asyncio.sleep(3600)
        return clock() - started

    assert 3600 == run_virtual(scenario())


def test_a_timer_that_sets_itself_again_for_now_is_named() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def never_late_enough() -> None:
            loop.call_at(loop.time(), never_late_enough)

        never_late_enough()
        await asyncio.sleep(1)

    with pytest.raises(NoEndError, match=r"clock stands still (.|\n)*timers \(2\):\n.*never_late_enough"):
        run_virtual(scenario())


def test_a_task_that_never_waits_is_named() -> None:
    async def scenario() -> None:
        async def busy() -> None:
            while True:  # noqa: ASYNC110 - that is the mistake
                await asyncio.sleep(0)

        task = asyncio.create_task(busy(), name="busy")
        await asyncio.sleep(1)
        task.cancel()

    with pytest.raises(NoEndError, match=r"clock stands still (.|\n)*busy: .*test_virtual_time\.py:\d+ busy"):
        run_virtual(scenario())


def test_waiting_for_what_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "_MOST_JUMPS", 50)

    async def scenario() -> None:
        while True:  # noqa: ASYNC110 - that is the mistake
            await asyncio.sleep(1)

    with pytest.raises(NoEndError, match="50 jumps of the clock"):
        run_virtual(scenario())


def test_waiting_for_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "_MOST_SILENCE_S", 0.01)

    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NoEndError, match=r"nothing is left that could wake anybody (.|\n)* scenario"):
        run_virtual(scenario())


def test_what_was_begun_is_cleaned_up_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "_MOST_JUMPS", 50)
    closed = []

    async def scenario() -> None:
        try:
            while True:  # noqa: ASYNC110 - that is the mistake
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)
            closed.append(True)

    with pytest.raises(NoEndError):
        run_virtual(scenario())
    assert [True] == closed
