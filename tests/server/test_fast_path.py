"""The fast path against the engine: whatever a client asks and an upstream does, nobody can tell which of them served.

Every scenario runs twice in virtual time, with the fast path and without it, and what clients heard, what upstreams
received, what was told and what the pool knows is compared. With requests on aiohttp's door, which never take the fast
path, it is compared in tests/conformance/test_two_doors.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core import chat, request
from proxy.core.event import AttemptEnded, Happening, RequestEnded
from proxy.server.fast_path import FastPath
from proxy.server.flight import Flight
from proxy.simulator.faults import FAULTS
from proxy.upstreams.prepared_call import PreparedCall
from tests.support.doors import Heard, blanked, left, talk
from tests.support.fleet import ROUTES, Fleet, fleet, until
from tests.support.raw import BODY, head
from tests.support.virtual_time import run_virtual

_T = TypeVar("_T")
NEXT = head() + BODY
QUICK = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults:
  deadline: 20s
  timeout: {connect: 1s, first_token: 3s, answer: 4s, idle: 2s}
  retry: {attempts: 2, backoff: {initial: 100ms}}
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
  spoken: {chain: [primary/m], last_resort: {text: "later"}}
  spread: {chain: [primary/m, backup/m], strategy: weighted}
  hedged: {chain: [primary/m, backup/m], hedge: {after: 1s}}
  short: {chain: [primary/m], deadline: 2s}
  "any-*": {chain: [primary/m, backup/m]}
"""


SESAME = hashlib.sha256(b"sesame").hexdigest()
SURE = [name for name in FAULTS if name not in {"refuse", "flapping", "random"}]
"""Faults that do the same in two runs, to those who are connected."""
FEW = ["503", "hang", "cut", "401", "429:retry_after=1"]


def asking(**fields: Any) -> bytes:
    body = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    return head(len(body)) + body


def told_plainly(event: Happening) -> object:
    """An event without what differs between two runs."""
    if isinstance(event, AttemptEnded):
        return ("attempt", event.deployment, event.outcome, event.status, event.cost)
    if isinstance(event, RequestEnded):
        same = msgspec.structs.replace(event, request_id="", duration=0.0, first_token=None, waited_for_others=0.0)
        same.usage = None if event.usage is None else blanked(event.usage.decode()).encode()
        return msgspec.structs.replace(same, attempts=tuple(map(told_plainly, event.attempts)))  # type: ignore[arg-type]
    return re.sub(r"duration=[0-9.]+", "duration", blanked(repr(event)))


async def seen(running: Fleet, heard: list[Heard]) -> dict[str, object]:
    """All that can be compared."""
    await until(lambda: left(running) == (0, 0))
    now = asyncio.get_running_loop().time()
    pool = running.proxy.pool
    guards = [guard for each in pool.deployments() for guard in each.guards]
    return {
        "heard": [(each.answers, each.rest, each.end) for each in heard],
        "received": [
            (name, [(each.path, each.body) for each in upstream.requests])
            for name, upstream in running.simulator.upstreams.items()
        ],
        "told": [told_plainly(event) for event in running.told],
        "pool": [(each.id, each.succeeded, each.failed, each.recent.count) for each in pool.deployments()],
        "breakers": [
            (each.id, each.breaker.state, each.breaker.consecutive, each.breaker.counts.total) for each in guards
        ],
        "budget": round(running.proxy._budgets.remaining(now), 6),
    }


def both_ways(scenario: Callable[[Fleet], Awaitable[list[Heard]]], routes: str = ROUTES) -> tuple[object, object, int]:
    """What is seen of a scenario with the fast path and without it, and how many requests the fast path answered."""
    answered = 0
    note = Flight._note

    def counted(flight: Flight, record: RequestEnded) -> None:
        nonlocal answered
        answered += record.status == 200
        note(flight, record)

    async def one(*, fast: bool) -> object:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Flight, "_note", counted)
            # Waits are as long in both runs.
            patched.setattr("random.random", lambda: 0.5)
            if not fast:
                patched.setattr(FastPath, "let_in", lambda *_: None)
                patched.setattr(FastPath, "take", lambda *_: False)
            async with fleet(routes) as running:
                for upstream in running.simulator.upstreams.values():
                    upstream.voice.pace = 0.0
                return await seen(running, await scenario(running))

    return run_virtual(one(fast=True)), run_virtual(one(fast=False)), answered


def test_the_fast_path_answers_what_is_usual_from_the_second_request_on() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        return [await talk(running, NEXT, 0.5, NEXT, 0.5, NEXT)]

    with_it, without, answered = both_ways(scenario)

    assert without == with_it
    assert 2 == answered


def test_it_goes_on_when_something_else_is_known_of_models() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = [await talk(running, NEXT, 0.5, NEXT)]
        running.proxy._context.now.planner.forget()
        return [*heard, await talk(running, NEXT, 0.5, NEXT, 0.5, NEXT)]

    with_it, without, answered = both_ways(scenario)

    assert without == with_it
    assert 3 == answered


@pytest.mark.parametrize(
    ("route", "fault"),
    [*(("chat", fault) for fault in SURE), *((route, fault) for route in ("alone", "spoken") for fault in FEW)],
)
def test_whatever_an_upstream_does(route: str, fault: str) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        ask = asking(model=route)
        heard = [await talk(running, ask, 0.5, ask)]
        await running.simulator.inject("primary", fault)
        heard.append(await talk(running, ask, patience=30.0))
        await running.simulator.inject("primary", None)
        return [*heard, await talk(running, ask, 0.5, ask, patience=30.0)]

    with_it, without, answered = both_ways(scenario, QUICK)

    assert without == with_it
    assert answered


@pytest.mark.parametrize(
    "asked",
    [
        {"stream": True},
        {"stream": False},
        {"stream": None},
        {"stream": "yes"},
        {"n": 2},
        {"service_tier": "flex"},
        {"model": "nobody"},
        {"model": 5},
        {"messages": "hi"},
        {"messages": []},
        {"messages": [{"role": "user", "content": "x" * 200_000}]},
        {"messages": [{"role": "user", "content": "\ud83d\ude00 é"}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"max_tokens": 10**6},
        {"model": "hedged"},
        {"model": "any-name"},
        {"model": "any-\u200bname"},
        {"model": "any-\nname"},
        {"model": "any-" + "x" * 253},
    ],
    ids=str,
)
def test_whatever_a_client_asks(asked: dict[str, Any]) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        ask, glob = asking(**asked), asking(model="any-body")
        return [await talk(running, glob, 0.5, ask, 0.5, ask, 0.5, ask, 0.5, NEXT, patience=10.0)]

    with_it, without, _ = both_ways(scenario, QUICK)

    assert without == with_it


def test_so_it_does_where_every_head_is_new() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        asked = [head(len(BODY), f"x-request-id: r-{number}", f"traceparent: {number}") + BODY for number in range(4)]
        return [await talk(running, each) for each in asked]

    with_it, without, answered = both_ways(scenario)

    assert without == with_it
    assert 3 == answered


@pytest.mark.parametrize("route", ["spread", "hedged"])
def test_routes_on_which_there_is_something_to_decide_are_the_engines(route: str) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        ask = asking(model=route)
        heard = await talk(running, ask, 0.5, ask, 0.5, ask)
        assert [200, 200, 200] == heard.statuses
        return []

    assert 0 == both_ways(scenario, QUICK)[2]


@pytest.mark.parametrize("wish", ["x-holdfast-fallback: off", "x-holdfast-upstream: backup", "x-holdfast-timeout: 0.3"])
@pytest.mark.parametrize("fault", ["503", "hang", None])
def test_whatever_its_head_wants(wish: str, fault: str | None) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        ask = head(len(BODY), wish, "x-holdfast-tags: a", "x-request-id: mine", "x-stainless-retry-count: 1") + BODY
        heard = [await talk(running, NEXT, 0.5, ask, 0.5, ask)]
        await running.simulator.inject("primary", fault)
        return [*heard, await talk(running, ask, patience=30.0)]

    with_it, without, _ = both_ways(scenario, QUICK)

    assert without == with_it


@pytest.mark.parametrize("gap", [0.1, 1.9, 2.0, 2.5, 31.0])
@pytest.mark.parametrize("wish", [[], ["x-holdfast-timeout: 0.3"], ["x-holdfast-timeout: 2"]])
def test_whenever_its_body_comes(wish: list[str], gap: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        body = BODY.replace(b'"chat"', b'"short"')
        late = head(len(body), *wish)
        return [await talk(running, late, body, 0.5, late, gap, body[:9], body[9:], 0.5, NEXT, patience=40.0)]

    with_it, without, _ = both_ways(scenario, QUICK)

    assert without == with_it


@pytest.mark.parametrize("after", [0.001, 0.1, 1.0, 3.5])
def test_a_client_that_leaves_is_counted_as_one_that_left(after: float) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = [await talk(running, NEXT, 0.5, NEXT)]
        await running.simulator.inject("primary", "hang")
        await talk(running, NEXT, patience=after)
        await running.simulator.inject("primary", None)
        return [*heard, await talk(running, NEXT)]

    with_it, without, _ = both_ways(scenario, QUICK)

    assert without == with_it


def test_those_on_it_are_let_finish_by_a_drain_and_told_of_its_end() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = [await talk(running, NEXT, 0.5, NEXT)]
        await running.simulator.inject("primary", "hang")
        asked = asyncio.create_task(talk(running, NEXT, patience=20.0))
        await asyncio.sleep(0.1)
        draining = asyncio.create_task(running.proxy.drain())
        heard.append(await asked)
        await draining
        return heard

    routes = QUICK.replace("server: {port: 0}", "server: {port: 0, drain: {delay: 0s, timeout: 2s}}")
    with_it, without, _ = both_ways(scenario, routes)

    assert without == with_it


def test_whoever_has_not_sent_its_body_by_the_end_of_a_drain_is_known_by_name() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        asked = asyncio.create_task(talk(running, head(len(BODY), "authorization: Bearer sesame"), patience=20.0))
        await asyncio.sleep(0.1)
        await running.proxy.drain()
        return [await asked]

    routes = QUICK.replace("server: {port: 0}", "server: {port: 0, drain: {delay: 0s, timeout: 2s}}")
    with_it, without, _ = both_ways(scenario, routes + f"clients:\n  - {{name: ali, key_hash: 'sha256:{SESAME}'}}\n")

    assert without == with_it


def test_a_connection_that_died_while_it_was_kept_costs_no_answer() -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = [await talk(running, NEXT, 0.5, NEXT)]
        await running.simulator.inject("primary", "reset:times=1")
        return [*heard, await talk(running, NEXT, patience=10.0)]

    with_it, without, _ = both_ways(scenario, QUICK)

    assert without == with_it


def test_a_mistake_of_ours_costs_one_answer_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(QUICK) as running:
            await talk(running, NEXT)
            with monkeypatch.context() as patched:
                patched.setattr(PreparedCall, "read", lambda *_: 1 / 0)
                heard = await talk(running, NEXT)
            again = await talk(running, NEXT)

            assert [500] == heard.statuses
            assert [200] == again.statuses
            assert (0, 0) == left(running)
            assert ["ok", "internal_error", "ok"] == [record.outcome for record in running.records]

    run_virtual(scenario())


def test_a_mistake_before_anything_is_sent_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fleet(QUICK) as running:
            await talk(running, NEXT)
            monkeypatch.setattr(PreparedCall, "send", lambda *_: 1 / 0)
            heard = await talk(running, NEXT, NEXT, patience=10.0)

            assert [200, 200] == heard.statuses
            assert (0, 0) == left(running)

    run_virtual(scenario())


FIELDS = st.dictionaries(
    st.sampled_from(
        ["temperature", "max_tokens", "n", "stream", "user", "stop", "response_format", "stream_options", "x"]
    ),
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["a", {}, {"type": "json_object"}, []]),
    max_size=4,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(FIELDS, st.sampled_from([None, *SURE])), min_size=1, max_size=4))
def test_any_row_of_requests_and_faults(rows: list[tuple[dict[str, Any], str | None]]) -> None:
    async def scenario(running: Fleet) -> list[Heard]:
        heard = [await talk(running, NEXT, 0.5, NEXT)]
        for fields, fault in rows:
            await running.simulator.inject("primary", fault)
            heard.append(await talk(running, asking(**fields), patience=30.0))
        return heard

    with_it, without, _ = both_ways(scenario, QUICK)

    assert without == with_it


@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"n": 2}, {"stream": "yes"}])
def test_a_body_is_read_once_unless_it_is_refused(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    decode = request.decode_top

    def counting(body: bytes) -> dict[str, msgspec.Raw]:
        read.append(len(body))
        return decode(body)

    monkeypatch.setattr(request, "decode_top", counting)
    monkeypatch.setattr(chat, "decode_top", counting)

    async def scenario() -> None:
        async with fleet(QUICK) as running:
            await talk(running, asking(**fields))

    run_virtual(scenario())
    assert (2 if fields.get("stream") == "yes" else 1) == len(read)
