"""Whose sockets are served for a while."""

import asyncio
import socket
from collections.abc import Sequence
from typing import cast

from proxy.workers.covering import Covering


class Server:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_a_place_is_covered_once_until_it_is_not() -> None:
    asyncio.run(covered(ends_early=False))


def test_what_ends_before_it_has_begun_is_not_left_open() -> None:
    asyncio.run(covered(ends_early=True))


async def covered(*, ends_early: bool) -> None:
    made: list[Server] = []
    go_on = asyncio.Event()

    async def also_on(_sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
        await go_on.wait()
        made.append(Server())
        return cast("list[asyncio.Server]", [made[-1]])

    covering = Covering([(), ()], also_on)
    first, again = asyncio.create_task(covering.begin(1)), asyncio.create_task(covering.begin(1))
    await asyncio.sleep(0)
    if ends_early:
        covering.end(1)
    go_on.set()
    await asyncio.gather(first, again)
    assert [ends_early] == [each.closed for each in made]

    covering.end_all()
    assert [True] == [each.closed for each in made]
    await covering.begin(1)
    assert [True, False] == [each.closed for each in made]
