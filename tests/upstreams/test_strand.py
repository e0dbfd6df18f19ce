"""Coroutines that are driven by callbacks: every kind of wait, and every moment in which one can be cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy.upstreams.strand import Pause, Strand, current, pause


class Story:
    """A strand that writes down how it fares."""

    def __init__(self, *waits: Callable[[], Awaitable[object]]) -> None:
        self.told: list[str] = []
        self._waits = waits
        self.strand = Strand(self._run())

    async def _run(self) -> None:
        for number, wait in enumerate(self._waits):
            assert current() is self.strand
            try:
                await wait()
            except asyncio.CancelledError:
                self.told.append(f"cancelled at {number}")
            except ValueError as error:
                self.told.append(f"{error} at {number}")
            else:
                self.told.append(f"past {number}")
        self.told.append("end")


def later() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_waits_for_nothing_is_over_at_once() -> None:
    story = Story()
    assert (None, False) == (current(), story.strand.over)

    story.strand.start()

    assert (["end"], True, None) == (story.told, story.strand.over, current())


def test_a_pause_is_gone_on_from_within_the_call_that_settles_it() -> None:
    waits = [Pause(), Pause()]
    story = Story(lambda: _on(waits[0]), lambda: _on(waits[1]))
    story.strand.start()

    assert [] == story.told
    waits[0].set_result(None)
    assert ["past 0"] == story.told
    waits[1].set_exception(ValueError("broken"))
    assert ["past 0", "broken at 1", "end"] == story.told
    assert story.strand.over


async def _on(waited_for: Awaitable[object]) -> None:
    await waited_for


def test_a_pause_that_is_settled_before_is_not_waited_for() -> None:
    good, bad = Pause(), Pause()
    good.set_result(None)
    bad.set_exception(ValueError("broken"))
    story = Story(lambda: _on(good), lambda: _on(bad))

    story.strand.start()

    assert ["past 0", "broken at 1", "end"] == story.told
    assert (True, True) == (good.done(), bad.done())


def test_a_pause_that_is_settled_twice_counts_once() -> None:
    first, second = Pause(), Pause()
    story = Story(lambda: _on(first), lambda: _on(second))
    story.strand.start()
    first.set_result(None)
    first.set_result(None)

    assert ["past 0"] == story.told


def test_cancelled_at_a_pause() -> None:
    first, second = Pause(), Pause()
    story = Story(lambda: _on(first), lambda: _on(second))
    story.strand.start()
    story.strand.cancel()

    assert ["cancelled at 0"] == story.told
    # Whoever settles it now does so for nobody.
    first.set_result(None)
    assert ["cancelled at 0"] == story.told
    second.set_result(None)
    assert ["cancelled at 0", "past 1", "end"] == story.told
    story.strand.cancel()
    assert ["cancelled at 0", "past 1", "end"] == story.told


async def test_futures_of_the_loop() -> None:
    future, broken, last = later(), later(), later()
    story = Story(lambda: _on(future), lambda: _on(broken), lambda: _on(last))
    story.strand.start()
    future.set_result(None)
    assert [] == story.told
    await turns()
    assert ["past 0"] == story.told
    broken.set_exception(ValueError("broken"))
    await turns()
    assert ["past 0", "broken at 1"] == story.told
    last.set_result(None)
    await turns()

    assert ["past 0", "broken at 1", "past 2", "end"] == story.told


async def test_cancelled_at_a_future() -> None:
    future, second = later(), later()
    story = Story(lambda: _on(future), lambda: _on(second))
    story.strand.start()
    story.strand.cancel()
    await turns()

    assert ["cancelled at 0"] == story.told
    assert future.cancelled()
    second.set_result(None)
    await turns()
    assert ["cancelled at 0", "past 1", "end"] == story.told


async def test_cancelled_at_a_task_of_its_own_which_hears_of_it() -> None:
    heard: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            heard.append("the task, too")

    story = Story(lambda: asyncio.ensure_future(work()))
    story.strand.start()
    await turns()
    story.strand.cancel()
    await turns()

    assert (["cancelled at 0", "end"], ["the task, too"]) == (story.told, heard)


async def test_cancelled_when_its_future_is_done_and_it_has_not_gone_on() -> None:
    """As late as that the future cannot be cancelled any more, so the next wait is."""
    future = later()
    story = Story(lambda: _on(future), lambda: asyncio.sleep(10))
    story.strand.start()
    future.set_result(None)
    story.strand.cancel()
    await turns()

    assert ["past 0", "cancelled at 1", "end"] == story.told


@pytest.mark.parametrize("next_wait", ["pause", "future", "turn"])
async def test_cancelled_while_it_runs(next_wait: str) -> None:
    """By something that it calls: it is raised where it waits next, and once."""

    async def end_itself() -> None:
        story.strand.cancel()

    async def wait() -> None:
        if next_wait == "pause":
            await Pause()
        elif next_wait == "future":
            await later()
        else:
            await asyncio.sleep(0)

    story = Story(end_itself, wait, lambda: asyncio.sleep(0))
    story.strand.start()
    await turns(10)

    assert ["past 0", "cancelled at 1", "past 2", "end"] == story.told


async def test_cancelled_while_it_lets_others_have_a_turn() -> None:
    story = Story(lambda: asyncio.sleep(0), lambda: asyncio.sleep(0))
    story.strand.start()
    story.strand.cancel()
    await turns()

    assert ["cancelled at 0", "past 1", "end"] == story.told


async def test_cancelled_before_it_begins() -> None:
    story = Story(lambda: asyncio.sleep(10))
    story.strand.cancel()
    story.strand.start()
    await turns()

    assert ["cancelled at 0", "end"] == story.told


async def test_a_turn_of_the_loop() -> None:
    story = Story(lambda: asyncio.sleep(0), lambda: asyncio.sleep(0))
    story.strand.start()
    assert [] == story.told
    await asyncio.sleep(0)
    assert ["past 0"] == story.told
    await asyncio.sleep(0)
    assert ["past 0", "past 1", "end"] == story.told


def test_an_end_by_cancelling_is_no_bug() -> None:
    async def ends() -> None:
        await Pause()

    strand = Strand(ends())
    strand.start()
    strand.cancel()

    assert strand.over


async def test_a_bug_is_told_to_the_loop() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    strand = Strand(broken())
    strand.start()
    await turns()

    assert strand.over
    assert ["broken"] == [str(each["exception"]) for each in told]
    assert current() is None


def test_what_ends_the_process_is_not_kept() -> None:
    async def ends() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Strand(ends()).start()
    assert current() is None


def test_one_strand_begins_another_and_is_the_one_that_runs_again() -> None:
    told: list[object] = []
    settle = Pause()

    async def inner() -> None:
        told.append(current())
        await settle
        told.append(current())

    async def outer() -> None:
        told.append(current())
        second.start()
        told.append(current())
        settle.set_result(None)
        told.append(current())

    first, second = Strand(outer()), Strand(inner())
    first.start()

    assert [first, second, first, second, first] == told
    assert (True, True, None) == (first.over, second.over, current())


def test_one_strand_cancels_another() -> None:
    story = Story(lambda: _on(Pause()))
    story.strand.start()

    async def ends_it() -> None:
        story.strand.cancel()
        assert current() is strand

    strand = Strand(ends_it())
    strand.start()

    assert (["cancelled at 0", "end"], True) == (story.told, strand.over)


async def test_what_can_be_waited_for_in_strands_and_in_tasks() -> None:
    loop = asyncio.get_running_loop()
    made: list[object] = []

    async def work() -> None:
        waiter = pause(loop)
        made.append(waiter)
        loop.call_soon(waiter.set_result, None)
        await waiter

    strand = Strand(work())
    strand.start()
    await asyncio.ensure_future(work())
    await turns()

    assert strand.over
    assert [Pause, asyncio.Future] == [
        Pause if isinstance(each, Pause) else asyncio.Future if isinstance(each, asyncio.Future) else None
        for each in made
    ]


async def test_an_error_that_was_waited_for_leaves_nothing_to_the_collector() -> None:
    pauses: list[Pause] = []

    async def work() -> None:
        pauses.append(Pause())
        with contextlib.suppress(ValueError):
            await pauses[0]

    strand = Strand(work())
    strand.start()
    gc.collect()
    gc.disable()
    try:
        pauses[0].set_exception(ValueError("late"))
        pauses.clear()
        assert [] == [each for each in gc.get_objects() if isinstance(each, Pause)]
    finally:
        gc.enable()


async def test_a_task_that_a_strand_begins_is_a_task() -> None:
    """What has a task of its own may ask for the current one: `asyncio.timeout`."""
    told: list[str] = []

    async def limited() -> None:
        assert current() is None
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(10)
        except TimeoutError:
            told.append("late")

    async def work() -> None:
        await asyncio.ensure_future(limited())
        told.append("end")

    strand = Strand(work())
    strand.start()
    await turns(10)

    assert (["late", "end"], True) == (told, strand.over)


async def test_gather_within_a_strand() -> None:
    story = Story(lambda: asyncio.gather(asyncio.sleep(0), asyncio.sleep(0)), lambda: asyncio.sleep(10))
    story.strand.start()
    await turns(10)
    story.strand.cancel()
    await turns()

    assert ["past 0", "cancelled at 1", "end"] == story.told
