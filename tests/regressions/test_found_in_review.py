"""Faults of our own that a review of the core brought to light."""

import asyncio
import contextlib

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.permit import Permit
from proxy.pool.pool import Pool
from proxy.streams.splice import StreamState
from tests.streams.test_splice import Script
from tests.support.fleet import ROUTES, fleet, until
from tests.support.plans import UNGUARDED
from tests.support.raw import BODY, hang_up, head, send, serving, statuses
from tests.support.virtual_time import run_virtual

A = DeploymentId("a", "m")


def permit(pool: Pool, now: float, id_: DeploymentId = A) -> Permit:
    made = pool.admit(id_, UNGUARDED, now)
    assert isinstance(made, Permit)
    return made


def test_a_choice_that_never_came_is_missed() -> None:
    script = Script(choices=2)
    script.sees("say-a 0", "stop 0")

    assert not script.splice.finished
    script.ends()
    assert StreamState.BROKEN is script.splice.state


def test_choices_one_after_the_other_are_all_waited_for() -> None:
    script = Script(choices=2)
    script.sees("say-a 0", "stop 0", "say-b 1", "stop 1")

    assert script.splice.finished
    assert ["[DONE]"] == script.ends()


def test_an_upstream_that_gives_one_choice_and_says_done_is_believed() -> None:
    script = Script(choices=2)
    script.sees("say-a 0", "stop 0")

    assert ["[DONE]"] == script.sees("[DONE]")


def test_no_second_answer_follows_one_that_has_begun() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, drain: {timeout: 1s}}")
        async with fleet(routes) as running:
            running.simulator.upstream("primary").voice.answer = "x" * 20_000_000
            reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=1024)
            writer.write(head() + BODY)
            await reader.read(100)
            await running.proxy.drain()
            received = b""
            while piece := await reader.read(1 << 20):
                received += piece
            assert b"HTTP/1.1" not in received
            await hang_up(writer)

    run_virtual(scenario())


def test_a_bug_within_a_stream_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async def scenario() -> None:
        async with fleet() as running:
            monkeypatch.setattr("proxy.execution.relay.Relay.run", broken)
            seen = await running.chat()

            assert (200, True) == (seen.status, seen.broken)
            assert b"HTTP/1.1" not in seen.body
            assert 0 == running.proxy.pool.deployments()[0].in_flight

    run_virtual(scenario())


def test_a_full_pool_still_learns() -> None:
    pool = Pool({"a": 1}, [(A, UNGUARDED)])
    gone = Failure(FailureClass.MODEL_GONE, "http_404")
    for number in range(5000):
        id_ = DeploymentId("a", str(number))
        pool.report(permit(pool, 0.0, id_), gone, 0.0)
    fresh = DeploymentId("a", "fresh")
    pool.report(permit(pool, 0.0, fresh), Failure(FailureClass.RATE_LIMITED, "http_429", wait=60.0), 0.0)

    assert 60.0 == pool.standing(fresh, UNGUARDED, 1.0).usable_at
    pool.report(permit(pool, 0.0), gone, 0.0)
    for number in range(5000):
        pool.deployment(DeploymentId("a", f"x{number}"))
    assert pool.standing(A, UNGUARDED, 1.0).rest is not None


def test_a_burst_of_refusals_counts_once() -> None:
    pool = Pool({"a": 1})
    burst = [permit(pool, 0.0) for _ in range(8)]
    for each in burst:
        pool.report(each, Failure(FailureClass.RATE_LIMITED, "http_429"), 0.1)

    assert pytest.approx(1.1) == pool.standing(A, UNGUARDED, 0.1).usable_at


def test_a_late_report_does_not_shorten_a_rest() -> None:
    pool = Pool({"a": 1})
    first, late = permit(pool, 0.0), permit(pool, 0.0)
    pool.report(first, Failure(FailureClass.RATE_LIMITED, "http_429", wait=60.0), 0.1)

    assert [] == [*pool.report(late, Failure(FailureClass.RATE_LIMITED, "http_429", wait=1.0), 0.2)]
    assert pytest.approx(60.1) == pool.standing(A, UNGUARDED, 0.2).usable_at


def test_a_slow_reader_does_not_outlive_the_deadline() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "big_event:size=4000000")
            body = BODY.replace(b'"messages"', b'"stream":true,"messages"')
            _, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=1024)
            writer.write(head(len(body), "x-holdfast-timeout: 3") + body)
            await until(lambda: running.records)

            assert running.records[0].duration < 3.1
            await hang_up(writer)

    run_virtual(scenario())


def test_an_only_deployment_that_hangs_is_blamed() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "hang")
            await running.chat("alone", headers={"x-holdfast-timeout": "1"})
            assert 0 == running.proxy.pool.deployments()[0].consecutive_failures
            seen = await running.chat("alone")

            assert 504 == seen.status
            assert 1 == running.proxy.pool.deployments()[0].consecutive_failures

    run_virtual(scenario())


def test_one_clients_bad_value_takes_the_field_from_nobody_else() -> None:
    pool = Pool({"a": 1})
    refused = Failure(FailureClass.PARAMETER_UNSUPPORTED, "http_400", param="reasoning_effort", value_only=True)
    pool.report(permit(pool, 0.0), refused, 0.0)

    assert set() == pool.deployment(A).refused_parameters


def test_streams_keep_their_connection() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            for _ in range(20):
                assert (await running.chat()).done
                await asyncio.sleep(0.1)

            assert 1 == running.simulator.upstream("primary").connections

    run_virtual(scenario())


@pytest.mark.parametrize("path", ["/v1/models", "/admin/v1/status"])
def test_keys_of_odd_bytes_are_wrong_keys(path: str) -> None:
    keyed = "clients: [{name: anna, key: key-of-anna}]\nadmin: {key: key-of-operator}\n"

    async def scenario() -> None:
        async with fleet(ROUTES + keyed) as running:
            request = head(0, path=path, method="GET").replace(b"Host: x", b"Host: x\r\nAuthorization: Bearer \xff\xfe")
            assert [401] == statuses(await send(running, request, patience=2))

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.example", 403), ("null", 403), ("http://localhost:3000", 200), ("http://127.0.0.1", 200)],
)
def test_pages_of_other_sites_do_not_spend_the_operators_keys(origin: str, status: int) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            assert status == (await running.chat(headers={"Origin": origin})).status

    run_virtual(scenario())


def test_an_upstream_that_echoes_its_key_anywhere_is_masked() -> None:
    async def scenario() -> None:
        secret = "very-secret-credential"
        routes = ROUTES.replace(
            "primary: {kind: simulated}", 'primary: {kind: openai, base_url: "${URL}", api_key: "${KEY}"}'
        )

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"error":{"message":"%b","type":"%b","code":"%b","param":"%b"}}' % ((secret.encode(),) * 4)
            writer.write(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)

        async with serving(echo) as place, fleet(routes, {"URL": f"http://{place}/v1", "KEY": secret}) as running:
            seen = await running.chat("alone")
            assert 400 == seen.status
            assert secret not in seen.body.decode()

    run_virtual(scenario())


def test_events_after_a_restart_are_not_silent() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.chat()
            headers = {"Last-Event-ID": "5000"}
            async with running.session.get(f"{running.url}/admin/v1/events", headers=headers) as response:
                received = b""
                while b"RequestEnded" not in received:
                    received += await response.content.readany()
            assert 405 == (await running.request("HEAD", "/admin/v1/events")).status

    run_virtual(scenario())


@pytest.mark.parametrize("events", range(500, 516, 4))
def test_no_end_of_a_stream_waits_for_a_client_that_does_not_read(events: int) -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, timeout: {write: 2s}}")
        async with fleet(routes) as running:
            voice = running.simulator.upstream("primary").voice
            voice.pace, voice.answer = 0.001, " ".join(["y" * 7_900] * events)
            body = BODY.replace(b'"messages"', b'"stream":true,"messages"')
            _, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=1024)
            writer.write(head(len(body), "x-holdfast-timeout: 20") + body)
            await until(lambda: running.records, patience=100)

            assert not running.proxy.lifecycle.running
            await hang_up(writer)

    run_virtual(scenario())


def test_a_client_that_reads_slowly_is_left_alone() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, timeout: {write: 5s}}")
        async with fleet(routes.replace("deadline: 60s", "deadline: 600s")) as running:
            running.simulator.upstream("primary").voice.answer = "x" * 8_000_000
            reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=65_536)
            writer.write(head() + BODY)
            received = 0
            while received < 8_000_000:
                piece = await reader.read(65_536)
                assert piece, f"cut off after {received} bytes"
                received += len(piece)
                await asyncio.sleep(0.2)
            assert "ok" == running.records[0].outcome
            await hang_up(writer)

    run_virtual(scenario())


def test_a_slow_clients_time_is_not_the_upstreams() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "big_event:size=6000000")
            body = BODY.replace(b'"messages"', b'"stream":true,"messages"')
            reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=65_536)
            writer.write(head(len(body)) + body)
            await asyncio.sleep(20)
            received = b""
            while b"[DONE]" not in received and (piece := await reader.read(1 << 20)):
                received = received[-100:] + piece
            assert b"[DONE]" in received
            assert 0 == running.proxy.pool.deployments()[0].consecutive_failures
            await hang_up(writer)

    run_virtual(scenario())


def test_pipelined_answers_to_a_client_that_does_not_read_end() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, timeout: {write: 5s, keepalive: 5s}}")
        async with fleet(routes) as running:
            running.simulator.upstream("primary").voice.answer = "x" * 30_000
            reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=1024)
            writer.write((head() + BODY) * 400)
            await asyncio.sleep(60)
            received = b""
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(1 << 20):
                    received += piece
            assert received.count(b"HTTP/1.1 200 OK") < 400
            await hang_up(writer)

    run_virtual(scenario())


def test_each_key_has_refusals_of_its_own() -> None:
    pool = Pool({"a": 6})
    limited = Failure(FailureClass.RATE_LIMITED, "http_429")
    for number in range(6):
        pool.report(permit(pool, number / 10), limited, number / 10)

    assert [1.0] * 6 == [round(rest.until - key / 10, 3) for key, rest in pool.deployment(A).key_rests.items()]


@pytest.mark.parametrize("origin", ["http://[::1", "http://[x]:1", "http://["])
def test_an_origin_that_is_no_url_is_refused(origin: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            assert 403 == (await running.chat(headers={"Origin": origin})).status

    run_virtual(scenario())


@pytest.mark.parametrize("size", [100, 100_000])
def test_answers_while_draining_say_that_the_connection_ends(size: int) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            running.simulator.upstream("primary").voice.answer = "x" * size
            running.proxy.lifecycle.draining = True
            seen = await running.chat(stream=False)

            assert "close" == seen.headers["Connection"]

    run_virtual(scenario())
