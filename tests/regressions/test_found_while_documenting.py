"""Faults of our own that came to light when the pages were written against the running server."""

import asyncio
import json

from proxy.core.failure import FailureClass, Rests
from proxy.dialects.failures import classify
from tests.support.fleet import ROUTES, fleet, until
from tests.support.raw import BODY, hang_up, head, send, statuses
from tests.support.virtual_time import run_virtual


def test_one_that_rests_too_long_is_nobody_to_turn_to() -> None:
    """The last usable deployment was cut at first_token because another one would be usable after the deadline."""

    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("backup", "quota")
            await running.chat(headers={"x-holdfast-upstream": "backup"})
            await running.simulator.inject("primary", "slow_first_token:seconds=20")
            seen = await running.chat()

            assert (200, [("primary", "ok")]) == (seen.status, seen.trail)

    run_virtual(scenario())


def test_a_last_resort_answers_for_a_silent_last_deployment() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("alone: {", "alone: {last_resort: {text: Sorry.}, ")
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "hang")
            seen = await running.chat("alone")

            assert (200, "Sorry.") == (seen.status, seen.text)
            assert 8.0 <= seen.seconds < 8.2

    run_virtual(scenario())


def test_tokens_of_json_answers_are_known() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.chat(stream=False)
            await running.chat(stream=True)

            for record in running.records:
                assert json.loads(record.usage or b"{}")["usage"]["completion_tokens"] > 0

    run_virtual(scenario())


def test_followers_of_the_events_do_not_hold_the_exit_up() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            response = await running.session.get(f"{running.url}/admin/v1/events")
            await response.content.readany()
            clock = asyncio.get_running_loop().time
            started = clock()
            await running.proxy.drain()
            await running.proxy.stop()

            assert clock() - started < 2

    run_virtual(scenario())


def test_requests_that_were_shown_nothing_are_told_of_the_shutdown() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, drain: {timeout: 1s}}")
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "hang")
            waiting = [asyncio.ensure_future(running.chat(stream=stream)) for stream in (True, False)]
            await until(lambda: running.received("primary") == 2)
            await running.proxy.drain()

            for seen in await asyncio.gather(*waiting):
                assert (503, "overloaded") == (seen.status, seen.error["code"])
                assert "true" == seen.headers["x-should-retry"]
            assert ["overloaded"] * 2 == [record.outcome for record in running.records]
            assert 0 == running.proxy.pool.deployments()[0].in_flight

    run_virtual(scenario())


def test_a_client_that_does_not_read_a_large_json_answer_is_let_go() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, timeout: {write: 5s}}")
        async with fleet(routes) as running:
            running.simulator.upstream("primary").voice.answer = "x" * 20_000_000
            _, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=1024)
            writer.write(head() + BODY)
            await until(lambda: running.records)

            assert "client_left" == running.records[0].outcome
            assert 1 == running.records[0].attempts[0].outcome.count("ok")
            await hang_up(writer)
            whole = await running.chat(stream=False)
            assert 20_000_000 == len(whole.text)

    run_virtual(scenario())


def test_explanations_are_no_answers() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.chat(headers={"x-holdfast-explain": "1"})

            assert [(200, "explained")] == [(record.status, record.outcome) for record in running.records]

    run_virtual(scenario())


def test_looking_makes_no_deployments_and_skipped_ones_are_shown_as_such() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("third: {kind: simulated}", 'third: {kind: openai, api_key: "${UNSET}"}')
        async with fleet(routes + '  "g-*": {chain: ["primary/*"]}\n') as running:
            await running.request("GET", "/health")
            listed = (await running.request("GET", "/admin/v1/deployments")).json["deployments"]

            assert {"primary/m", "backup/m"} == {str(each.id) for each in running.proxy.pool.deployments()}
            assert {"primary/m": "available", "backup/m": "available", "third/m": "skipped"} == {
                each["deployment"]: each["status"] for each in listed
            }

    run_virtual(scenario())


def test_answers_close_their_connection_while_draining() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            running.proxy.lifecycle.draining = True
            streaming = BODY.replace(b'"messages"', b'"stream":true,"messages"')
            for body in (BODY, streaming):
                received = await send(running, head(len(body)) + body, patience=30)
                assert [200] == statuses(received)

    run_virtual(scenario())


def test_those_who_wait_for_one_rest_do_not_come_back_as_one() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=5,times=1")
            await running.chat("alone", headers={"x-holdfast-timeout": "1"})
            waiting = [asyncio.ensure_future(running.chat("alone")) for _ in range(20)]
            await asyncio.gather(*waiting)
            arrivals = [request.received_at for request in running.simulator.upstream("primary").requests[1:]]

            assert 20 == len(arrivals)
            assert max(arrivals) - min(arrivals) > 0.1

    run_virtual(scenario())


def test_a_firewalls_page_does_not_rest_the_key() -> None:
    page = classify("openai", 403, {}, b"<html><h1>403 Forbidden</h1>blocked</html>", 0.0)
    error = classify("openai", 403, {}, b'{"error":{"message":"Not for this key","code":"x"}}', 0.0)

    assert (FailureClass.UNKNOWN, Rests.NOTHING) == (page.kind, page.verdict.rests)
    assert FailureClass.CREDENTIAL is error.kind
