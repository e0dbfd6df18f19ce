"""Random damage to plain requests: both doors give the same class of answer, ask upstreams the same, and never hang."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.doors import Heard, apart, cut, left, routes_of, talk
from tests.support.fleet import ROUTES, Fleet, fleet, until
from tests.support.raw import head
from tests.support.virtual_time import VirtualLoop

BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "first"}]}).encode()
SECOND = BODY.replace(b"first", b"second")
REQUEST = head(len(BODY), "Authorization: Bearer x", "Content-Type: application/json") + BODY
NEXT = head(len(SECOND), "Connection: close") + SECOND
SPECIAL = st.sampled_from(
    [
        b"\r", b"\n", b"\r\n", b"\r\n\r\n", b":", b" ", b"\t", b"\x00", b"\xff", b",", b"0", b"1", b"-", b"+",
        b"Content-Length: 5\r\n", b"content-length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"GET ", b"HTTP/1.0",
        b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", REQUEST[:40], NEXT,
    ]
)  # fmt: skip
BYTES = SPECIAL | st.binary(min_size=1, max_size=3)
PLACE = st.integers(0, len(REQUEST) - 1)
DAMAGE = st.lists(
    st.tuples(PLACE, st.sampled_from(["insert", "delete", "replace", "double"]), st.integers(1, 12), BYTES),
    min_size=1,
    max_size=3,
)


def damaged(damage: list[tuple[int, str, int, bytes]]) -> bytes:
    data = REQUEST
    for place, how, size, new in damage:
        before, at, behind = data[:place], data[place : place + size], data[place + size :]
        if how == "insert":
            data = before + new + at + behind
        elif how == "delete":
            data = before + behind
        elif how == "replace":
            data = before + new + data[place + len(new) :]
        else:
            data = before + at + at + behind
    return data


Scenario: TypeAlias = Callable[[Fleet], Awaitable[tuple[Heard, list[bytes]]]]


class Both:
    """Two proxies that stay, for many requests; each lives on a clock of its own."""

    def __init__(self) -> None:
        self.loops = [VirtualLoop(), VirtualLoop()]
        self.fleets: list[Fleet] = []
        self._contexts = []
        for loop, front_lane in zip(self.loops, (True, False), strict=True):
            context = fleet(routes_of(ROUTES, front_lane=front_lane))
            running = loop.run_until_complete(context.__aenter__())
            for upstream in running.simulator.upstreams.values():
                upstream.voice.pace = 0.0
            self._contexts.append(context)
            self.fleets.append(running)

    def through(
        self, scenario: Callable[[Fleet], Awaitable[tuple[Heard, list[bytes]]]]
    ) -> list[tuple[Heard, list[bytes]]]:
        told = []
        for loop, running in zip(self.loops, self.fleets, strict=True):
            # No example counts the turns of those before it.
            loop._virtual_selector._turns = loop._virtual_selector._jumps = 0
            told.append(loop.run_until_complete(_one(scenario, running)))
        return told

    def close(self) -> None:
        for loop, context in zip(self.loops, self._contexts, strict=True):
            loop.run_until_complete(context.__aexit__(None, None, None))
            loop.run_until_complete(asyncio.sleep(0.1))
            loop.close()


async def _one(scenario: Scenario, running: Fleet) -> tuple[Heard, list[bytes]]:
    return await scenario(running)


@contextmanager
def both_doors() -> Iterator[Both]:
    made = Both()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with both_doors() as made:
        yield made


def compare(both: Both, *pieces: bytes | float) -> None:
    async def scenario(running: Fleet) -> tuple[Heard, list[bytes]]:
        running.simulator.upstream("primary").reset_counters()
        # Longer than every timer, so that whatever still is open then would hang.
        heard = await talk(running, *pieces, patience=200.0)
        await until(lambda: left(running) == (0, 0))
        return heard, [bytes(each.body) for each in running.simulator.upstream("primary").requests]

    (on, asked_on), (off, asked_off) = both.through(scenario)
    assert b"" == on.rest
    assert b"" == off.rest
    assert "open" != on.end
    assert "open" != off.end
    assert all(answer.whole for answer in (*on.answers, *off.answers))
    if [400] == off.statuses[-1:] and off.answers[-1].body.count(b"not valid HTTP"):
        # aiohttp forgets requests that came in the same packet as what is no HTTP; the lane has answered them by then.
        assert off.statuses[-1:] == on.statuses[-1:] or on.end == "closed"
        assert asked_on[: len(asked_off)] == asked_off
        assert len(on.statuses) - len(off.statuses) in {0, 1}
        assert len(asked_on) - len(asked_off) in {0, 1}
        assert on.statuses[: len(off.statuses) - 1] == off.statuses[:-1]
    else:
        assert off.answers == on.answers
        assert asked_off == asked_on
        assert off.end == on.end


@settings(max_examples=200)
@given(damage=DAMAGE)
def test_a_damaged_request(both: Both, damage: list[tuple[int, str, int, bytes]]) -> None:
    compare(both, damaged(damage) + NEXT)


@settings(max_examples=200)
@given(damage=DAMAGE, places=st.lists(PLACE, min_size=1, max_size=3, unique=True))
def test_a_damaged_request_in_parts(both: Both, damage: list[tuple[int, str, int, bytes]], places: list[int]) -> None:
    compare(both, *apart(cut(damaged(damage) + NEXT, *sorted(places))))


@settings(max_examples=200)
@given(damage=DAMAGE)
def test_a_damaged_request_behind_a_good_one(both: Both, damage: list[tuple[int, str, int, bytes]]) -> None:
    compare(both, REQUEST, 0.1, damaged(damage) + NEXT)
