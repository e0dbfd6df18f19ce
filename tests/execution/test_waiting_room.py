"""Places are handed over in order, to whoever waits longest, and none is lost."""

import asyncio

from proxy.core.event import Happening
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.execution.waiting_room import Place, WaitingRoom
from proxy.pool.permit import IGNORED, SUCCEEDED, Permit
from proxy.pool.pool import Pool
from tests.support.plans import guarded
from tests.support.virtual_time import run_virtual

A, B = DeploymentId("a", "m"), DeploymentId("b", "m")
RULES = guarded(limit=1, consecutive=1, open_for=60.0)
DOWN = Failure(FailureClass.OVERLOADED, "http_503")


class World:
    """Two deployments with one place each, both taken."""

    def __init__(self, size: int = 10) -> None:
        self.clock = asyncio.get_running_loop().time
        self.pool = Pool({"a": 1, "b": 1})
        self.told: list[Happening] = []
        self.room = WaitingRoom(size, self.told.append, self.clock)
        self.held = {id_: self.take(id_) for id_ in (A, B)}

    def take(self, id_: DeploymentId) -> Permit:
        permit = self.pool.admit(id_, RULES, self.clock())
        assert isinstance(permit, Permit)
        return permit

    def free(self, id_: DeploymentId, outcome: Failure | str = SUCCEEDED) -> None:
        self.pool.report(self.held[id_], outcome, self.clock())  # type: ignore[arg-type]
        self.room.freed(id_)

    def wait(self, *ids: DeploymentId, seconds: float = 60.0) -> "asyncio.Task[tuple[int, Permit] | None]":
        places = [Place(step, id_, RULES) for step, id_ in enumerate(ids)]
        return asyncio.ensure_future(self.room.wait(self.pool, places, self.clock() + seconds))


def test_the_one_who_waits_longest_gets_the_place_before_any_newcomer() -> None:
    async def scenario() -> None:
        world = World()
        first, second = world.wait(A), world.wait(A)
        await asyncio.sleep(0)
        world.free(A)

        # The place is taken in the same step: there is no moment in which somebody else could have it.
        assert not isinstance(world.pool.admit(A, RULES, world.clock()), Permit)
        handed = await first
        assert handed is not None
        assert (0, A) == (handed[0], handed[1].deployment.id)
        assert not second.done()
        world.pool.report(handed[1], SUCCEEDED, world.clock())
        world.room.freed(A)
        assert await second is not None
        assert 0 == len(world.room)

    run_virtual(scenario())


def test_one_may_wait_for_any_of_several_places() -> None:
    async def scenario() -> None:
        world = World()
        only_a, either = world.wait(A), world.wait(A, B)
        await asyncio.sleep(0)
        world.free(B)

        handed = await either
        assert handed is not None
        assert (1, B) == (handed[0], handed[1].deployment.id)
        assert not only_a.done()
        only_a.cancel()

    run_virtual(scenario())


def test_nobody_waits_longer_than_told() -> None:
    async def scenario() -> None:
        world = World()
        started = world.clock()

        assert await world.wait(A, seconds=5.0) is None
        assert 5.0 == world.clock() - started
        assert 0 == len(world.room)

    run_virtual(scenario())


def test_waiting_for_what_will_not_come_ends_at_once() -> None:
    async def scenario() -> None:
        world = World()
        waiting, other = world.wait(A), world.wait(B)
        await asyncio.sleep(0)
        world.free(A, DOWN)

        assert await waiting is None
        assert not other.done()
        other.cancel()

    run_virtual(scenario())


def test_who_is_cancelled_in_the_moment_of_handing_over_passes_it_on() -> None:
    async def scenario() -> None:
        world = World()
        first, second = world.wait(A), world.wait(A)
        await asyncio.sleep(0)
        world.free(A)
        first.cancel()

        handed = await second
        assert handed is not None
        world.pool.report(handed[1], IGNORED, world.clock())
        assert 0 == world.pool.deployment(A).in_flight
        assert first.cancelled()

    run_virtual(scenario())


def test_the_room_is_bounded() -> None:
    async def scenario() -> None:
        world = World(size=1)
        assert world.room.has_room
        waiting = world.wait(A)
        await asyncio.sleep(0)

        assert not world.room.has_room
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert world.room.has_room

    run_virtual(scenario())
