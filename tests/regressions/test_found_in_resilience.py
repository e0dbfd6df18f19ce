"""What hostile readers found in breakers, queues, hedges, probes and the state: each of these went wrong once."""

import asyncio
import random
from pathlib import Path

import pytest

from proxy.app import Holdfast
from proxy.core.event import ProbeEnded
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.operator import Operator
from proxy.pool.permit import SUCCEEDED, Permit
from proxy.pool.pool import Pool
from proxy.stores.memory import MemoryStore
from proxy.stores.sync import Sync
from tests.support.fleet import Fleet, fleet, settings_of, until
from tests.support.plans import UNGUARDED, guarded
from tests.support.virtual_time import run_virtual

HEAD = """\
version: 1
server: {port: 0}
upstreams: {primary: {kind: simulated}, backup: {kind: simulated}, third: {kind: simulated}}
"""
A = DeploymentId("up", "a")


def in_flight(running: Fleet) -> int:
    return sum(each.in_flight for each in running.proxy.pool.deployments())


def test_clients_that_leave_while_the_losers_are_let_go_leak_no_permit() -> None:
    routes = HEAD + "routes: {all: {strategy: parallel, chain: [primary/m, backup/m, third/m]}}\n"
    luck = random.Random(7)

    async def leave(running: Fleet) -> None:
        try:
            async with asyncio.timeout(0.01 + luck.random() * 0.04):
                await running.chat("all")
        except TimeoutError:
            pass

    async def scenario() -> None:
        async with fleet(routes) as running:
            for name, delay in (("primary", 0.02), ("backup", 0.1), ("third", 0.1)):
                running.simulator.upstream(name).voice.first_token_delay = delay
            for _ in range(10):
                await asyncio.gather(*(leave(running) for _ in range(30)))
            await until(lambda: not running.proxy.lifecycle.running)

            assert 0 == in_flight(running)

    asyncio.run(scenario())


def test_who_waits_for_a_place_beside_a_retry_that_nobody_pays_for_costs_nothing() -> None:
    routes = HEAD + (
        "defaults: {deadline: 30s, health: {probe: never}, retry: {budget: {ratio: 0, min_per_second: 0}}}\n"
        "routes: {chat: {chain: [primary/m, {to: backup/m, max_concurrent: 1}]}}\n"
    )

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("backup", "hang")
            await running.simulator.inject("primary", "503")
            moves = 0
            standing = running.proxy.pool.standing

            def counted(*arguments: object) -> object:
                nonlocal moves
                moves += 1
                return standing(*arguments)  # type: ignore[arg-type]

            running.proxy.pool.standing = counted  # type: ignore[method-assign, assignment]
            await asyncio.gather(running.chat(), running.chat())

            assert moves < 100

    run_virtual(scenario())


def test_retries_from_the_queue_are_paid_and_wait_their_time() -> None:
    routes = HEAD + (
        "defaults: {max_concurrent: 1, health: {probe: never}, breaker: {consecutive: 1000, minimum_requests: 1000},\n"
        "           retry: {budget: {ratio: 0, min_per_second: 0}}}\n"
        "routes: {alone: {chain: [primary/m]}}\n"
    )

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("primary", {"fault": "status", "status": 503, "retry_after": 30})
            seen = await asyncio.gather(*(running.chat("alone") for _ in range(6)))

            assert 6 == running.received("primary")
            assert {502, 503} >= {each.status for each in seen}

    run_virtual(scenario())


def test_the_last_one_left_may_take_its_time_also_for_those_who_queued() -> None:
    routes = HEAD + (
        "defaults: {deadline: 60s, timeout: {first_token: 5s, idle: 5s}, health: {probe: never}}\n"
        "routes: {alone: {chain: [{to: primary/m, max_concurrent: 1}]}}\n"
    )

    async def scenario() -> None:
        async with fleet(routes) as running:
            running.simulator.upstream("primary").voice.first_token_delay = 8
            running.simulator.upstream("primary").voice.pace = 0
            seen = await asyncio.gather(running.chat("alone"), running.chat("alone"))

            assert [200, 200] == [each.status for each in seen]

    run_virtual(scenario())


def test_streams_that_deliver_do_not_keep_a_half_open_breaker_from_making_up_its_mind() -> None:
    routes = HEAD + (
        "defaults: {deadline: 120s, breaker: {consecutive: 3, open_for: 5s}, timeout: {idle: 30s},\n"
        "           retry: {attempts: 1}, health: {probe: never}}\n"
        "routes: {alone: {chain: [primary/m], panic: never}}\n"
    )

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "503:times=3")
            for _ in range(3):
                await running.chat("alone")
            voice = running.simulator.upstream("primary").voice
            voice.pace = 5.0
            await asyncio.sleep(6)
            slow = [asyncio.ensure_future(running.chat("alone")) for _ in range(2)]
            await asyncio.sleep(1)
            voice.pace = 0.0
            seen = await running.chat("alone")

            assert 200 == seen.status
            assert not any(each.done() for each in slow)
            assert [200, 200] == [each.status for each in await asyncio.gather(*slow)]

    run_virtual(scenario())


def test_a_stream_that_proved_it_and_broke_later_counts_against_it() -> None:
    rules, pool = guarded(consecutive=1, open_for=10.0, close_after=1, probes=1), Pool({"up": 1})

    def admitted(now: float) -> Permit:
        permit = pool.admit(A, rules, now)
        assert isinstance(permit, Permit)
        return permit

    broken = Failure(FailureClass.BAD_ANSWER, "truncated")
    pool.report(admitted(0.0), broken, 0.0)
    stream = admitted(10.0)
    pool.first_content(stream, 10.1)
    assert pool.standing(A, rules, 10.2).hold is None

    pool.report(stream, broken, 15.0)
    assert pool.standing(A, rules, 15.0).usable_at > 15.0


def test_a_hanging_deployment_is_blamed_on_a_route_with_less_time_than_its_timers() -> None:
    routes = HEAD + (
        "defaults: {deadline: 10s, timeout: {first_token: 30s}, breaker: {consecutive: 2}, health: {probe: never}}\n"
        "routes: {chat: {chain: [primary/m, backup/m]}}\n"
    )

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "hang")
            seen = [await running.chat() for _ in range(3)]

            assert [504, 504, 200] == [each.status for each in seen]
            for _ in range(3):
                await running.chat(headers={"x-holdfast-timeout": "0.001", "x-holdfast-upstream": "backup"})
            assert 0 == running.proxy.pool.deployment(DeploymentId("backup", "m")).consecutive_failures

    run_virtual(scenario())


def test_a_probe_whose_answer_says_nothing_is_repeated_on_the_interval_only() -> None:
    routes = HEAD + (
        "defaults: {retry: {attempts: 1}, breaker: {consecutive: 3, open_for: 10s},\n"
        "           health: {probe: suspect, interval: 30s}}\n"
        "routes: {chat: {chain: [primary/m, backup/m]}}\n"
    )

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "503:times=3")
            for _ in range(3):
                await running.chat()
            await running.simulator.inject("primary", "400")
            await asyncio.sleep(600)

            assert 15 <= sum(isinstance(event, ProbeEnded) for event in running.told) <= 25

    run_virtual(scenario())


def test_probes_on_the_interval_do_not_take_their_own_success_for_traffic() -> None:
    routes = HEAD + ("defaults: {health: {probe: always, interval: 30s}}\nroutes: {alone: {chain: [primary/m]}}\n")

    async def scenario() -> None:
        async with fleet(routes) as running:
            await asyncio.sleep(3000)
            probes = sum(isinstance(event, ProbeEnded) for event in running.told)

            assert 90 <= probes <= 105

    run_virtual(scenario())


def test_a_rest_that_began_after_a_probe_set_out_outlives_it() -> None:
    pool = Pool({"up": 1}, [(A, UNGUARDED)])
    probe = pool.admit_probe(A, 0.0)
    other = pool.admit(A, UNGUARDED, 1.0)
    assert probe is not None
    assert isinstance(other, Permit)
    pool.report(other, Failure(FailureClass.RATE_LIMITED, "http_429", wait=60.0), 2.0)

    pool.report(probe, SUCCEEDED, 3.0)
    assert 62.0 == pool.standing(A, UNGUARDED, 3.0).usable_at


def test_what_an_operator_has_ordered_is_not_forgotten_for_names_that_clients_make_up() -> None:
    pool = Pool({"up": 1})
    Operator(pool).order(A, "disable", None, None, 0.0)
    for number in range(5000):
        permit = pool.admit(DeploymentId("up", str(number)), UNGUARDED, 1.0)
        assert isinstance(permit, Permit)
        pool.report(permit, SUCCEEDED, 1.0)

    assert not isinstance(pool.admit(A, UNGUARDED, 2.0), Permit)


def test_one_bug_in_a_round_does_not_end_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    def bad(*_: object) -> list[object]:
        nonlocal rounds
        rounds += 1
        raise ZeroDivisionError

    async def scenario() -> None:
        monkeypatch.setattr("proxy.health.rounds.tick", bad)
        async with fleet():
            await asyncio.sleep(10)

            assert 9 <= rounds <= 11

    run_virtual(scenario())


def test_one_senseless_part_of_the_state_does_not_cost_the_others() -> None:
    async def scenario() -> None:
        store, pool = MemoryStore(), Pool({"up": 1}, [(A, UNGUARDED)])
        huge = b'{"guards": [{"breaker": {"state": [], "left": 1%s}}], "rest": {"left": 1%s}}' % (
            b"0" * 400,
            b"0" * 400,
        )
        store.save({"deployment up/b": b"[", f"deployment {A}": huge, "upstream up": b'{"key_rests": {"mark": 5}}'})
        rested = b'{"key_rests": {"mark": {"kind": "quota", "left": 60}}}'
        store.save({"deployment up/c": rested})
        sync = Sync(store, pool, {"up": ["mark"]}, lambda _: [UNGUARDED], asyncio.get_running_loop().time)
        await sync.restore()

        now = asyncio.get_running_loop().time()
        assert pool.standing(A, UNGUARDED, now).hold is None
        assert pool.standing(DeploymentId("up", "c"), UNGUARDED, now).rest is not None

    asyncio.run(scenario())


def test_a_second_proxy_that_cannot_listen_leaves_the_first_ones_state_alone(tmp_path: Path) -> None:
    first = f"""\
version: 1
server: {{port: 0}}
upstreams: {{up: {{kind: simulated}}}}
routes: {{r: {{chain: [up/a]}}}}
state: {{path: {tmp_path / "state.db"}}}
"""

    async def scenario() -> None:
        proxy = Holdfast(settings_of(first))
        await proxy.start()
        for _event in Operator(proxy.pool).order(A, "disable", None, None, 0.0):
            pass
        await proxy.stop()
        proxy = Holdfast(settings_of(first))
        await proxy.start()
        other = first.replace("port: 0", f"port: {proxy.port}").replace("up/a", "up/b")
        with pytest.raises(OSError, match="address already in use"):
            await Holdfast(settings_of(other)).start()
        await proxy.stop()
        again = Holdfast(settings_of(first))
        await again.start()

        assert "disable" == (again.pool.deployment(A).order or ("", 0, ""))[0]
        await again.stop()

    asyncio.run(scenario())
