"""The first good answer wins; whoever leaves the race, in whatever way, leaves nothing running."""

import asyncio

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.execution.race import Race
from proxy.execution.run import JsonAnswer, Result, StreamAnswer
from proxy.pool.permit import Permit
from proxy.pool.pool import Pool
from tests.support.plans import UNGUARDED
from tests.support.virtual_time import run_virtual

BROKEN = Failure(FailureClass.BAD_ANSWER, "empty_answer")
GOOD = JsonAnswer(b"{}", {}, (), None)


def permit() -> Permit:
    made = Pool({"a": 1}).admit(DeploymentId("a", "m"), UNGUARDED, 0.0)
    assert isinstance(made, Permit)
    return made


async def after(seconds: float, result: Result, ended: list[str]) -> Result:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    ended.append("done")
    return result


def race(let_go: list[StreamAnswer] | None = None) -> Race:
    return Race((let_go if let_go is not None else []).append, asyncio.get_running_loop().time)


def test_the_first_to_arrive_is_told_and_the_loser_is_cancelled_as_lost() -> None:
    async def scenario() -> None:
        ended: list[str] = []
        slow, quick = permit(), permit()
        async with race() as running:
            running.start(0, slow, after(9, BROKEN, ended))
            running.start(1, quick, after(1, GOOD, ended))
            assert (1, GOOD) == await running.next()
            assert [0] == running.steps

        assert ["done", "cancelled"] == ended
        assert (True, False) == (slow.lost, quick.lost)

    run_virtual(scenario())


def test_nobody_arrives_in_time() -> None:
    async def scenario() -> None:
        ended: list[str] = []
        async with race() as running:
            running.start(0, permit(), after(9, GOOD, ended))
            assert await running.next(asyncio.get_running_loop().time() + 3) is None
            assert (0, GOOD) == await running.next()

    run_virtual(scenario())


def test_of_those_who_arrive_together_a_good_one_comes_first() -> None:
    async def scenario() -> None:
        ended: list[str] = []
        async with race() as running:
            running.start(0, permit(), after(1, BROKEN, ended))
            running.start(1, permit(), after(1, GOOD, ended))
            running.start(2, permit(), after(1, GOOD, ended))
            await asyncio.sleep(2)

            assert (1, GOOD) == await running.next()
            assert (2, GOOD) == await running.next()
            assert (0, BROKEN) == await running.next()

    run_virtual(scenario())


def test_a_stream_that_came_too_late_is_let_go() -> None:
    async def scenario() -> None:
        let_go: list[StreamAnswer] = []
        late = StreamAnswer(b"", None, permit(), 0.0, {}, ())  # type: ignore[arg-type]
        async with race(let_go) as running:
            running.start(0, permit(), after(1, GOOD, []))
            running.start(1, permit(), after(1, late, []))
            await asyncio.sleep(2)
            await running.next()

        assert [late] == let_go

    run_virtual(scenario())


def test_cancelled_from_outside_nobody_has_lost() -> None:
    async def scenario() -> None:
        ended: list[str] = []
        held = permit()

        async def run() -> None:
            async with race() as running:
                running.start(0, held, after(9, GOOD, ended))
                await running.next()

        task = asyncio.ensure_future(run())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert ["cancelled"] == ended
        assert not held.lost

    run_virtual(scenario())


def test_a_bug_in_one_is_no_secret() -> None:
    async def fails() -> Result:
        raise ZeroDivisionError

    async def scenario() -> None:
        async with race() as running:
            running.start(0, permit(), fails())
            await running.next()

    with pytest.raises(ZeroDivisionError):
        run_virtual(scenario())
