"""Streams on the fast path, against the engine: what is seen of them is the same, as in test_fast_path.py."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.server.flight import Flight
from proxy.server.lane_turn import Turn
from proxy.server.stream_flight import StreamFlight
from proxy.upstreams.prepared_call import PreparedCall
from tests.server.test_fast_path import FEW, SURE, asking, both_ways
from tests.server.test_streams_at_rest import CONTENT, HEAD, ROLE, TAIL, Slow, chunk
from tests.server.test_streams_at_rest import ROUTES as SLOW
from tests.support.doors import Heard, blanked, left, talk
from tests.support.fleet import Fleet, fleet, until
from tests.support.raw import serving
from tests.support.virtual_time import run_virtual

PACE_S = 0.1
"""Between two chunks of an upstream: long enough for each to come by itself."""
ROUTES = """\
version: 1
server: {port: 0, drain: {delay: 0s, timeout: 2s}}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
  third: {kind: simulated, retry: {attempts: 1}}
defaults:
  deadline: 20s
  timeout: {connect: 1s, first_token: 3s, answer: 4s, idle: 2s}
  retry: {attempts: 1, backoff: {initial: 100ms}}
  breaker: {consecutive: 50, error_rate: 100%}
  foresight: {trend: false}
  outlier: {max_ejected: 0}
routes:
  chat: {chain: [primary/m, backup/m, third/m]}
  alone: {chain: [primary/m]}
  spoken: {chain: [primary/m], last_resort: {text: "later"}}
  short: {chain: [primary/m, backup/m], deadline: 1s}
  whole: {chain: [primary/m, backup/m], resume: "off"}
"""
ENDLESS = {"endless", "hang"}


def streaming(**fields: Any) -> bytes:
    return asking(**{"stream": True, **fields})


async def warm_up(running: Fleet, model: str = "chat") -> list[Heard]:
    """From here on the route's steps are known, and there are connections that are kept."""
    for upstream in running.simulator.upstreams.values():
        upstream.voice.pace = PACE_S
    heard = [await talk(running, asking(model=model), patience=5.0)]
    await running.simulator.inject("primary", "503")
    heard.append(await talk(running, asking(model=model), patience=5.0))
    await running.simulator.inject("primary", None)
    await asyncio.sleep(1.0)
    return heard


def test_a_stream_is_answered_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm_up(running)
            monkeypatch.setattr("proxy.server.model_request.Service.go_on", None)
            heard = await talk(running, streaming(), 5.0, streaming(), patience=5.0)

            assert [200, 200] == heard.statuses
            assert all(each.body.endswith(b"data: [DONE]\n\n") for each in heard.answers)
            assert ["ok", "ok"] == [record.outcome for record in running.records[-2:]]
            assert all(record.stream and record.usage for record in running.records[-2:])
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_the_next_one_is_asked_without_the_engine_and_streams_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    ask = Flight._ask

    def noted(flight: Flight, step: int, *rest: Any, **more: Any) -> bool:
        steps.append(step)
        return ask(flight, step, *rest, **more)

    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm_up(running)
            await running.simulator.inject("primary", "503")
            monkeypatch.setattr(Flight, "_ask", noted)
            heard = await talk(running, streaming(), patience=5.0)

            assert [200] == heard.statuses
            assert [0, 1] == steps
            assert ["primary", "backup"] == [each.deployment.upstream for each in running.records[-1].attempts]

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        *(("chat", fault) for fault in SURE if fault not in ENDLESS),
        *((model, fault) for model in ("alone", "spoken", "whole", "short") for fault in [*FEW, "stall", None]),
    ],
)
def test_whatever_an_upstream_does(model: str, fault: str | None) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, model)
        heard.append(await talk(running, streaming(model=model), patience=5.0))
        await running.simulator.inject("primary", fault)
        heard.append(await talk(running, streaming(model=model), patience=20.0))
        await running.simulator.inject("primary", None)
        return [*heard, await talk(running, streaming(model=model), 5.0, streaming(model=model), patience=10.0)]

    with_it, without, answered = both_ways(scenario, ROUTES)

    assert without == with_it
    assert answered or model == "short"


@pytest.mark.parametrize(
    "asked",
    [
        {"stream_options": {"include_usage": True}},
        {"stream_options": {"include_usage": False, "other": 1}},
        {"stream_options": None},
        {"stream_options": "yes"},
        {"n": 1},
        {"n": 2},
        {"service_tier": "flex"},
        {"max_tokens": 10**6},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"messages": [{"role": "user", "content": "x" * 200_000}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("pace", [PACE_S, 0.0])
def test_whatever_a_client_asks(asked: dict[str, Any], pace: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running)
        for upstream in running.simulator.upstreams.values():
            upstream.voice.pace = pace
        return [*heard, await talk(running, streaming(**asked), 5.0, streaming(**asked), patience=10.0)]

    with_it, without, _ = both_ways(scenario, ROUTES)

    assert without == with_it


@pytest.mark.parametrize("fault", ["hang", "pings", "empty_deltas", None])
@pytest.mark.parametrize("after", [0.001, 0.25, 1.0])
def test_a_client_that_leaves_is_counted_as_one_that_left(fault: str | None, after: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running)
        await running.simulator.inject("primary", fault)
        await talk(running, streaming(), patience=after)
        await running.simulator.inject("primary", None)
        return [*heard, await talk(running, streaming(), patience=10.0)]

    with_it, without, _ = both_ways(scenario, ROUTES)

    assert without == with_it


@pytest.mark.parametrize("fault", ["hang", "pings", "stall", "endless", None])
def test_those_on_it_are_let_finish_by_a_drain_and_told_of_its_end(fault: str | None) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running)
        await running.simulator.inject("primary", fault)
        asked = asyncio.create_task(talk(running, streaming(), patience=20.0))
        await asyncio.sleep(0.25)
        draining = asyncio.create_task(running.proxy.drain())
        heard.append(await asked)
        await draining
        return heard

    with_it, without, _ = both_ways(scenario, ROUTES)

    assert without == with_it


STAGES = {"head": "_stream", "content": "_open", "end": "_end"}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", [None, "cut", "stall", "error_later"])
def test_wherever_the_engine_takes_it_up(stage: str, fault: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamFlight, STAGES[stage], lambda flight, *_: flight.bail_out())

    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running)
        await running.simulator.inject("primary", fault)
        return [*heard, await talk(running, streaming(), patience=20.0)]

    with_it, without, _ = both_ways(scenario, ROUTES)

    assert without == with_it


@pytest.mark.parametrize("call", [0, 1])
def test_a_client_that_is_late_to_take_it_is_the_engines(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its first content, and at its end."""
    calls: list[Turn] = []

    def takes(turn: Turn) -> bool:
        calls.append(turn)
        return len(calls) - 1 != call

    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm_up(running)
            monkeypatch.setattr(Turn, "takes", property(takes))
            heard = await talk(running, streaming(), patience=5.0)

            assert heard.answers[0].body.endswith(b"data: [DONE]\n\n")
            assert ("ok", 1) == (running.records[-1].outcome, len(running.records[-1].attempts))
            assert call + 1 == len(calls)
            assert (0, 0) == left(running)

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("broken", "seen"),
    [
        ((PreparedCall, "stream"), [500]),
        ((StreamFlight, "_lines"), [500]),
        (("proxy.server.lane_turn.Turn", "end_stream"), [200]),
    ],
    ids=["head", "content", "end"],
)
def test_a_mistake_of_ours_costs_one_answer_and_leaves_nothing_behind(
    broken: tuple[Any, str], seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm_up(running)
            place = Turn if isinstance(broken[0], str) else broken[0]
            with monkeypatch.context() as patched:
                patched.setattr(place, broken[1], lambda *_: 1 / 0)
                heard = await talk(running, streaming(), patience=5.0)
            again = await talk(running, streaming(), patience=5.0)

            assert seen == heard.statuses
            assert [False] == [each.whole for each in heard.answers] or seen == [500]
            assert [200] == again.statuses
            assert ["internal_error", "ok"] == [record.outcome for record in running.records[-2:]]
            assert 0 == running.proxy._context.now.executor.world.transcripts.used
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_a_mistake_of_ours_lets_the_upstream_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        slow = Slow()
        async with serving(slow.answer) as address, fleet(SLOW.format(address=address)) as running:
            await slow.ask(running)
            await slow.says(HEAD, chunk(CONTENT), TAIL)
            await slow.leave()
            monkeypatch.setattr(PreparedCall, "stream", lambda *_: 1 / 0)
            await slow.ask(running)
            await asyncio.sleep(0.1)
            await slow.says(HEAD)
            await until(lambda: len(running.records) == 2)

            assert ["ok", "internal_error"] == [record.outcome for record in running.records]
            await asyncio.wait_for(slow.left.wait(), 1)
            await slow.leave()

    run_virtual(scenario())


def test_a_mistake_before_anything_is_sent_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm_up(running)
            monkeypatch.setattr(PreparedCall, "send", lambda *_: 1 / 0)
            heard = await talk(running, streaming(), 5.0, streaming(), patience=10.0)

            assert [200, 200] == heard.statuses
            assert (0, 0) == left(running)

    run_virtual(scenario())


def test_nothing_is_kept_of_streams_that_are_over() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await warm_up(running)
            for fault in (None, "cut", "stall", None):
                await running.simulator.inject("primary", fault)
                await talk(running, streaming(), patience=20.0)

            assert 0 == running.proxy._context.now.executor.world.transcripts.used
            assert (0, 0) == left(running)

    run_virtual(scenario())


TIMED = [fault for fault in SURE if fault not in {"hang", "endless", "pings", "empty_deltas"}]


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(["chat", "alone", "whole", "short"]),
    st.lists(st.tuples(*[st.sampled_from([None, *TIMED])] * 2), min_size=1, max_size=3),
    st.sampled_from([0.0, PACE_S]),
)
def test_any_row_of_faults(model: str, rows: list[tuple[str | None, str | None]], pace: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = await warm_up(running, model)
        for upstream in running.simulator.upstreams.values():
            upstream.voice.pace = pace
        for first, second in rows:
            await running.simulator.inject("primary", first)
            await running.simulator.inject("backup", second)
            heard.append(await talk(running, streaming(model=model), patience=20.0))
        return heard

    with_it, without, _ = both_ways(scenario, ROUTES)

    assert without == with_it


@pytest.mark.parametrize(
    ("pieces", "fast"),
    [
        ([HEAD, chunk(ROLE), chunk(CONTENT), chunk(CONTENT), TAIL], 2),
        ([HEAD + chunk(ROLE), chunk(CONTENT) + chunk(CONTENT), TAIL], 2),
        ([HEAD + chunk(ROLE) + chunk(CONTENT), chunk(CONTENT), TAIL], 2),
        ([HEAD + chunk(CONTENT)[:20], chunk(CONTENT)[20:], TAIL[:-5], TAIL[-5:]], 2),
        ([HEAD, chunk(CONTENT) + TAIL], 2),
        ([HEAD[:30], HEAD[30:], chunk(CONTENT), TAIL], 0),
        ([HEAD + chunk(CONTENT) + TAIL], 0),
    ],
)
def test_however_it_comes(pieces: list[bytes], fast: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine serves the first of a route, the fast path those behind it, where it does."""
    ended: list[StreamFlight] = []
    note = StreamFlight._note

    def noted(flight: StreamFlight, *brought: Any) -> None:
        ended.append(flight)
        note(flight, *brought)

    monkeypatch.setattr(StreamFlight, "_note", noted)

    async def heard(running: Fleet, slow: Slow) -> str:
        slow.got = b""
        await slow.ask(running)
        await asyncio.sleep(0.1)
        await slow.says(*pieces)
        await until(lambda: not running.proxy.lifecycle.running)
        await slow.leave()
        return re.sub("date: .*", "", blanked(slow.got.decode()))

    async def scenario() -> None:
        slow = Slow()
        async with serving(slow.answer) as address, fleet(SLOW.format(address=address)) as running:
            first, *others = [await heard(running, slow) for _ in range(3)]

            assert first.endswith("data: [DONE]\n\n\r\n0\r\n\r\n")
            assert [first, first] == others
            assert fast == len(ended)
            assert ["ok"] * 3 == [record.outcome for record in running.records]

    run_virtual(scenario())
