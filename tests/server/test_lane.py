"""What the front lane takes, what it leaves, and how little it does to the loop. The answers themselves are compared
with those of the other door in tests/conformance/test_two_doors.py."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.config.settings import PatienceSettings
from proxy.server.fast_path import FastPath
from proxy.server.lane import FrontLane
from proxy.server.plain_head import PlainHeads
from tests.support.fleet import Fleet, fleet, until
from tests.support.raw import BODY, head
from tests.support.virtual_time import run_virtual

NEXT = head() + BODY
LIVEZ = head(0, path="/livez", method="GET")
PATIENCE = PatienceSettings(header=2.0, body=3.0, keepalive=20.0, write=5.0)


class Wire(asyncio.Transport):
    """A client's end of a connection, without a socket; notes what is done to it, and the protocol that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.done: list[str] = []
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return "close" in self.done or "abort" in self.done

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    @property
    def answers(self) -> int:
        return self.sent.count(b"HTTP/1.1 ")


class Wide(asyncio.Protocol):
    """In place of aiohttp's."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.heard.append(transport)

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)


class Connected:
    """A lane on a wire."""

    def __init__(self, running: Fleet) -> None:
        self.wire, self.wide, self.left = Wire(), Wide(), list[FrontLane]()
        self.lane = FrontLane(
            running.proxy._context, PlainHeads(), PATIENCE, wide=lambda: self.wide, left=self.left.append
        )
        self.lane.connection_made(self.wire)

    async def served(self, *pieces: bytes, answers: int) -> None:
        """Send, and wait until so many answers are there in all."""
        for piece in pieces:
            self.lane.data_received(piece)
        await until(lambda: self.wire.answers >= answers)


@asynccontextmanager
async def connected() -> AsyncIterator[Connected]:
    async with fleet() as running:
        running.simulator.upstream("primary").voice.pace = 0.0
        made = Connected(running)
        yield made
        made.lane.connection_lost(None)


@pytest.mark.parametrize("cut", [1, 5, 20, len(LIVEZ) - 1, len(LIVEZ)])
def test_what_is_not_plain_is_handed_over_whole(cut: int) -> None:
    async def scenario() -> None:
        async with connected() as on:
            odd = LIVEZ + NEXT
            on.lane.data_received(odd[:cut])
            if on.wire.protocol is None:
                on.lane.data_received(odd[cut:])
                cut_at = len(odd)
            else:
                cut_at = cut

            assert on.wide is on.wire.protocol
            assert [on.wire, odd[:cut_at]] == on.wide.heard
            assert ([on.lane], b"", []) == (on.left, on.wire.sent, on.wire.done)

    run_virtual(scenario())


def test_so_is_what_follows_a_plain_one_and_nothing_that_was_served() -> None:
    async def scenario() -> None:
        async with connected() as on:
            await on.served(NEXT + LIVEZ[:30], LIVEZ[30:] + NEXT, answers=1)
            await until(lambda: on.wide.heard)

            assert [on.wire, LIVEZ + NEXT] == on.wide.heard
            assert 1 == on.wire.answers

    run_virtual(scenario())


@pytest.mark.parametrize("first", [b"P", b"POST /v1/chat/completions HTTP/1.1\r\nHo", NEXT[:-70]])
def test_what_may_become_plain_stays(first: bytes) -> None:
    async def scenario() -> None:
        async with connected() as on:
            on.lane.data_received(first)
            assert ([], []) == (on.wide.heard, on.left)
            await on.served(NEXT[len(first) :], answers=1)

            assert ([], True) == (on.wide.heard, on.lane.is_kept)

    run_virtual(scenario())


def test_it_sends_each_answer_in_one_write() -> None:
    async def scenario() -> None:
        async with connected() as on:
            writes: list[bytes] = []
            on.wire.write = writes.append  # type: ignore[method-assign, assignment]
            on.lane.data_received(NEXT)
            await until(lambda: writes)

            assert 1 == len(writes)

    run_virtual(scenario())


def test_much_that_is_sent_ahead_waits_in_the_socket_and_is_read_when_its_turn_comes() -> None:
    async def scenario() -> None:
        async with connected() as on:
            body = BODY[:-1] + b" " * 100_000 + b"}"
            on.lane.data_received(NEXT)
            on.lane.data_received((head(len(body)) + body)[:90_000])
            assert ["pause"] == on.wire.done
            await until(lambda: "resume" in on.wire.done)
            assert ["pause", "resume"] == on.wire.done
            rest = (head(len(body)) + body)[90_000:]
            on.lane.data_received(rest)
            await until(lambda: on.wire.answers == 2)

    run_virtual(scenario())


def test_a_hand_over_reads_on() -> None:
    async def scenario() -> None:
        async with connected() as on:
            on.lane.data_received(NEXT)
            on.lane.data_received(LIVEZ + b"x" * 100_000)
            await until(lambda: on.wide.heard)

            assert ["pause", "resume"] == on.wire.done
            assert LIVEZ + b"x" * 100_000 == on.wide.heard[1]

    run_virtual(scenario())


def test_nothing_is_begun_for_a_client_that_has_not_taken_its_answer() -> None:
    async def scenario() -> None:
        async with connected() as on:
            on.lane.pause_writing()
            on.lane.data_received(NEXT)
            await asyncio.sleep(1.0)
            assert 0 == on.wire.answers
            on.lane.resume_writing()
            await until(lambda: on.wire.answers == 1)

    run_virtual(scenario())


def test_a_thousand_requests_set_no_thousand_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with connected() as on:
            loop, timers = asyncio.get_running_loop(), list[float]()
            call_at = loop.call_at

            def noting(when: float, callback: object, *arguments: object, **more: object) -> asyncio.TimerHandle:
                if getattr(callback, "__self__", None) is on.lane:
                    timers.append(when)
                return call_at(when, callback, *arguments, **more)  # type: ignore[arg-type]

            monkeypatch.setattr(loop, "call_at", noting)
            for number in range(200):
                await on.served(NEXT, answers=number + 1)

            assert len(timers) < 5

    run_virtual(scenario())


def test_a_client_that_is_gone_is_not_answered() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            on = Connected(running)
            on.lane.data_received(NEXT)
            assert 1 == len(running.proxy.lifecycle.running)
            on.lane.connection_lost(None)

            await until(lambda: not running.proxy.lifecycle.running)
            assert (b"", [on.lane]) == (on.wire.sent, on.left)
            assert ["client_left"] == [each.outcome for each in running.records]
            assert not on.lane.open

    run_virtual(scenario())


@pytest.mark.parametrize("body", [b"", BODY[:9]])
def test_nothing_waits_for_the_body_of_a_client_that_is_gone(body: bytes) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            on = Connected(running)
            on.lane.data_received(head() + body)
            assert 1 == len(running.proxy.lifecycle.running)
            on.lane.connection_lost(None)

            assert not running.proxy.lifecycle.running
            assert on.lane._timer is None

    run_virtual(scenario())


@pytest.mark.parametrize("fast", [True, False])
def test_a_client_that_leaves_in_the_moment_of_its_answer_has_left(*, fast: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            on = Connected(running)
            await on.served(NEXT, answers=1)
            on.lane.data_received(NEXT)
            on.wire.done.append("abort")

            await until(lambda: not running.proxy.lifecycle.running)
            assert ["ok", "client_left"] == [each.outcome for each in running.records]
            assert [200, 499] == [each.status for each in running.records]

    with pytest.MonkeyPatch.context() as patched:
        if not fast:
            patched.setattr(FastPath, "take", lambda *_: False)
        run_virtual(scenario())


@pytest.mark.parametrize("last", [NEXT, head(200_000), head(200_000) + b"x" * 1000])
def test_a_connection_that_is_gone_leaves_nothing_to_the_collector(last: bytes) -> None:
    async def scenario() -> list[object]:
        async with fleet() as running:
            wire = Wire()
            lane = FrontLane(running.proxy._context, PlainHeads(), PATIENCE, wide=Wide, left=lambda _: None)
            lane.connection_made(wire)
            for piece in (NEXT, head(), BODY):
                lane.data_received(piece)
            await until(lambda: wire.answers >= 2)
            lane.data_received(last)
            await asyncio.sleep(0.5)
            gc.collect()
            gc.disable()
            (wire.protocol or lane).connection_lost(None)  # type: ignore[attr-defined] # it is one that is connected
            wire.protocol = None
            del lane
            return [each for each in gc.get_objects() if isinstance(each, FrontLane)]

    try:
        assert [] == run_virtual(scenario())
    finally:
        gc.enable()


def receive(protocol: asyncio.BaseProtocol | None, data: bytes) -> list[int]:
    """Give a protocol bytes as a socket does; in pieces of these sizes."""
    assert isinstance(protocol, asyncio.BufferedProtocol)
    sizes = []
    while data:
        place = protocol.get_buffer(-1)
        taken = min(len(place), len(data))
        place[:taken] = data[:taken]
        protocol.buffer_updated(taken)
        sizes.append(taken)
        data = data[taken:]
    return sizes


HUGE = BODY[:-1] + b" " * 300_000 + b"}"
LARGE = BODY[:-1] + b" " * 200_000 + b"}"
MIDDLE = BODY[:-1] + b" " * 20_000 + b"}"
LANDING = 16 * 1024


@pytest.mark.parametrize(
    ("given", "sizes", "answers", "stays"),
    [
        (head(len(HUGE)) + HUGE, [LANDING, len(head(len(HUGE)) + HUGE) - LANDING], 1, True),
        (head(len(LARGE)) + LARGE, [LANDING, len(head(len(LARGE)) + LARGE) - LANDING], 1, False),
        (head(len(MIDDLE)) + MIDDLE, [LANDING, len(head(len(MIDDLE)) + MIDDLE) - LANDING], 1, False),
        (NEXT, [len(NEXT)], 1, True),
        (NEXT + NEXT, [2 * len(NEXT)], 2, True),
        (LIVEZ, [len(LIVEZ)], 0, False),
    ],
    ids=["huge", "large", "middle", "small", "two", "not plain"],
)
def test_after_a_huge_body_the_next_one_is_received_in_place(
    given: bytes, sizes: list[int], answers: int, *, stays: bool
) -> None:
    async def scenario() -> None:
        async with connected() as on:
            data = head(len(HUGE)) + HUGE
            on.lane.data_received(data[:1000])
            reader = on.wire.protocol
            assert [len(data) - 1000] == receive(reader, data[1000:])
            await until(lambda: on.wire.answers == 1)
            assert reader is on.wire.protocol

            assert sizes == receive(reader, given)
            await until(lambda: on.wire.answers == 1 + answers)
            left_to = on.lane if answers else on.wide
            assert (reader if stays else left_to) is on.wire.protocol
            assert ([] if answers else [on.wire, LIVEZ]) == on.wide.heard

    run_virtual(scenario())


def test_after_one_that_is_not_huge_they_are_received_as_ever() -> None:
    async def scenario() -> None:
        async with connected() as on:
            on.lane.data_received(head(len(LARGE)) + LARGE[:1000])
            assert [len(LARGE) - 1000] == receive(on.wire.protocol, LARGE[1000:])
            await until(lambda: on.wire.answers == 1)

            assert on.lane is on.wire.protocol

    run_virtual(scenario())


def test_what_came_down_for_one_connection_is_not_where_another_one_reads() -> None:
    async def scenario() -> None:
        async with connected() as one, connected() as other:
            places = []
            for on in (one, other):
                on.lane.data_received(head(len(HUGE)) + HUGE[:1000])
                receive(on.wire.protocol, HUGE[1000:])
                assert isinstance(on.wire.protocol, asyncio.BufferedProtocol)
                places.append(on.wire.protocol.get_buffer(-1))

            places[0][:5] = b"first"
            assert b"first" != bytes(places[1][:5])

    run_virtual(scenario())


def test_the_unread_rest_of_a_huge_body_is_passed_over() -> None:
    async def scenario() -> None:
        async with connected() as on:
            data = head(len(HUGE)) + HUGE
            on.lane.data_received(data[:1000])
            receive(on.wire.protocol, data[1000:] + head(300_000, "x-holdfast-timeout: soon") + b"x" * 1000)
            await until(lambda: on.wire.answers == 2)

            assert on.lane is on.wire.protocol
            on.lane.data_received(b"x" * 299_000 + NEXT)
            await until(lambda: on.wire.answers == 3)

    run_virtual(scenario())
