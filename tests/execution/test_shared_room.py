"""Waiting for a place that another process frees."""

import asyncio
import time

from proxy.core.names import DeploymentId
from proxy.execution.shared_room import SharedRoom
from proxy.execution.waiting_room import Place
from proxy.pool.permit import IGNORED, Permit
from proxy.workers.table import Counts
from tests.support.hosts import Host, permit
from tests.support.plans import guarded

ID = DeploymentId("a", "m")
ONE = guarded(limit=1)


def test_a_place_freed_by_one_is_had_by_whoever_waits_at_another() -> None:
    async def scenario() -> tuple[list[bool], tuple[int, Permit] | None]:
        host = Host(2, {ID: [ONE]})
        told: list[tuple[object, ...]] = []

        def tell(*message: object, at_once: bool = False) -> None:
            assert at_once
            told.append(message)

        clock = asyncio.get_running_loop().time
        rooms = [SharedRoom(1, lambda _: None, clock, Counts(host.table, number), tell) for number in range(2)]
        held = permit(host.pools[0], ID, ONE)
        rooms[0].freed(ID)
        assert [] == told

        waiting = asyncio.create_task(rooms[1].wait(host.pools[1], [Place(3, ID, ONE)], clock() + 5))
        await asyncio.sleep(0)
        room = [each.has_room for each in rooms]
        host.pools[0].report(held, IGNORED, clock())
        rooms[0].freed(ID)
        assert [("freed", "a", "m")] == told
        rooms[1].freed_elsewhere(ID)
        return [*room, *(each.has_room for each in rooms)], await waiting

    room, had = asyncio.run(scenario())
    # It is bounded over both, and empty again.
    assert [False, False] == room[:2]
    assert had is not None and 3 == had[0]


def test_whoever_was_told_that_there_is_room_does_not_wait_where_another_one_has_taken_it() -> None:
    async def scenario() -> tuple[tuple[int, Permit] | None, float]:
        host = Host(2, {ID: [ONE]})
        clock = asyncio.get_running_loop().time
        rooms = [
            SharedRoom(1, lambda _: None, clock, Counts(host.table, each), lambda *_, **__: None) for each in (0, 1)
        ]
        permit(host.pools[0], ID, ONE)
        assert rooms[0].has_room and rooms[1].has_room
        first = asyncio.create_task(rooms[0].wait(host.pools[0], [Place(0, ID, ONE)], clock() + 5))
        await asyncio.sleep(0)
        started = clock()
        second = await rooms[1].wait(host.pools[1], [Place(0, ID, ONE)], clock() + 5)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert rooms[1].has_room
        return second, clock() - started

    second, took = asyncio.run(scenario())
    assert second is None
    assert took < 1


def test_what_came_free_before_anybody_was_seen_to_wait_is_found() -> None:
    async def scenario() -> tuple[int, Permit] | None:
        host = Host(2, {ID: [ONE]})
        clock = asyncio.get_running_loop().time
        room = SharedRoom(1, lambda _: None, clock, Counts(host.table, 1), lambda *_, **__: None)
        # It was full when the request was told to wait; nobody will say that it is not any more.
        return await room.wait(host.pools[1], [Place(3, ID, ONE)], clock() + 5)

    started = time.monotonic()
    assert asyncio.run(scenario()) is not None
    assert time.monotonic() - started < 1
