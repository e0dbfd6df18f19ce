"""What the running server does besides failing over."""

import asyncio
import hashlib
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fleet import ROUTES, fleet
from tests.support.virtual_time import run_virtual

KEYED = f"""
clients:
  - {{name: anna, key_hash: "sha256:{hashlib.sha256(b"key-of-anna").hexdigest()}"}}
  - {{name: ben, key: "${{BEN_KEY}}", routes: [alone]}}
"""
BEN = {"Authorization": "Bearer key-of-ben-1"}
ANNA = {"Authorization": "Bearer key-of-anna"}


def test_client_keys() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES + KEYED, {"BEN_KEY": "key-of-ben-1"}) as running:
            assert 401 == (await running.chat()).status
            assert 401 == (await running.chat(headers={"Authorization": "Bearer wrong-key"})).status
            assert 200 == (await running.chat(headers=ANNA)).status
            assert 200 == (await running.chat("alone", headers=BEN)).status
            refused = await running.chat("chat", headers=BEN)
            assert (403, "model_not_allowed") == (refused.status, refused.error["code"])
            listed = await running.request("GET", "/v1/models", headers=BEN)
            assert ["alone"] == [model["id"] for model in listed.json["data"]]
            assert 401 == (await running.request("GET", "/v1/models")).status
            assert ["anna", "ben"] == [record.client for record in running.records if record.status == 200]

    run_virtual(scenario())


def test_nothing_of_the_client_goes_upstream_that_should_not() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("primary: {kind: simulated}", 'primary: {kind: simulated, api_key: "${KEY}"}')
        async with fleet(routes, {"KEY": "upstream-secret-1"}) as running:
            headers = {
                "Authorization": "Bearer client-secret",
                "Cookie": "session=1",
                "x-holdfast-tags": "team=a",
                "x-stainless-lang": "python",
                "Connection": "x-private",
                "x-private": "1",
            }
            seen = await running.chat(headers=headers)
            (received,) = running.simulator.upstream("primary").requests

            assert "Bearer upstream-secret-1" == received.headers["Authorization"]
            allowed = {
                "host",
                "content-type",
                "content-length",
                "authorization",
                "user-agent",
                "accept",
                "accept-encoding",
            }
            assert set() == {name.lower() for name in received.headers} - allowed
            assert "identity" == received.headers["Accept-Encoding"]
            assert not [name for name, value in seen.headers.items() if "secret" in value]

    run_virtual(scenario())


def test_only_the_model_is_edited() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            sent = b'{"model":"chat","messages":[{"role":"user","content":"h\\u00e9 \\/"}],"x_unknown":{"a" : [1.0e3]}}'
            seen = await running.request("POST", "/v1/chat/completions", data=sent)
            (received,) = running.simulator.upstream("primary").requests

            assert 200 == seen.status
            assert sent.replace(b'"chat"', b'"m"') == received.body

    run_virtual(scenario())


def test_an_upstreams_secret_never_shows() -> None:
    async def scenario() -> None:
        secret = "very-secret-credential"
        routes = ROUTES.replace("primary: {kind: simulated}", 'primary: {kind: simulated, api_key: "${KEY}"}')
        async with fleet(routes, {"KEY": secret}) as running:
            for fault in ("unauthorized", "400", "503", "html_502", "hang"):
                await running.simulator.inject("primary", fault)
                for stream in (True, False):
                    seen = await running.chat("alone", stream=stream, headers={"x-holdfast-timeout": "1"})
                    assert secret not in seen.body.decode() + str(seen.headers)
            for path in ("/metrics", "/health", "/admin/v1/config", "/admin/v1/status", "/admin/v1/deployments"):
                seen = await running.request("GET", path)
                assert 200 == seen.status
                assert secret not in seen.body.decode()
            assert secret not in repr(running.told) + repr(running.proxy.settings)

    run_virtual(scenario())


def test_a_kept_connection_that_died_is_no_failure() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            for how in ("close", "reset"):
                await running.simulator.inject("primary", f"stale:how={how}")
                await running.chat(stream=False)
                seen = await running.chat(stream=False)

                assert (200, [("primary", "ok")]) == (seen.status, seen.trail)

    run_virtual(scenario())


def test_a_refused_parameter_is_left_out_told_and_remembered() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "unsupported_parameter:param=temperature")
            first = await running.chat(stream=False, temperature=0.5)
            second = await running.chat(stream=False, temperature=0.5)

            assert [("primary", "http_400"), ("primary", "ok")] == first.trail
            assert [("primary", "ok")] == second.trail
            assert ["temperature"] * 2 == [seen.headers["x-holdfast-dropped"] for seen in (first, second)]
            assert 3 == running.received("primary")
            assert 0 == running.proxy.pool.deployments()[0].consecutive_failures

    run_virtual(scenario())


def test_key_pool() -> None:
    async def scenario() -> None:
        keyed = 'primary: {kind: simulated, api_keys: ["${A}", "${B}"]}'
        routes = ROUTES.replace("primary: {kind: simulated}", keyed)
        async with fleet(routes, {"A": "key-number-a", "B": "key-number-b"}) as running:
            await running.simulator.inject("primary", "429:retry_after=60,times=1")
            seen = await running.chat(stream=False)
            later = [await running.chat(stream=False) for _ in range(3)]

            assert [("primary", "http_429"), ("primary", "ok")] == seen.trail
            used = [each.headers["Authorization"] for each in running.simulator.upstream("primary").requests]
            assert ["Bearer key-number-a"] + ["Bearer key-number-b"] * 4 == used
            assert all([("primary", "ok")] == each.trail for each in later)

    run_virtual(scenario())


def test_last_resort() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace(
            "alone: {chain: [primary/m]}", "alone: {chain: [primary/m], last_resort: {text: Sorry.}}"
        )
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "empty")
            for stream in (True, False):
                seen = await running.chat("alone", stream=stream)

                assert (200, "Sorry.") == (seen.status, seen.text)
                assert "reason=last_resort;quality=0" == seen.headers["x-holdfast-degraded"]
                assert "last resort" == seen.headers["x-holdfast-reason"]
                assert not stream or seen.done
            record = running.records[-1]
            assert (200, "reason=last_resort;quality=0", None) == (record.status, record.degraded, record.deployment)

    run_virtual(scenario())


def test_degraded_tells_the_quality() -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("backup: {kind: simulated}", "backup: {kind: simulated, models: {m: {quality: 0.7}}}")
        async with fleet(routes) as running:
            assert "x-holdfast-degraded" not in (await running.chat()).headers
            await running.simulator.inject("primary", "empty")
            assert "reason=failover;quality=0.7" == (await running.chat()).headers["x-holdfast-degraded"]

    run_virtual(scenario())


def test_wishes() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "empty")
            alone = await running.chat(headers={"x-holdfast-fallback": "off"})
            pinned = await running.chat(headers={"x-holdfast-upstream": "backup"})
            nobody = await running.chat(headers={"x-holdfast-upstream": "third"})

            assert (502, [("primary", "empty_answer")]) == (alone.status, alone.trail)
            assert (200, [("backup", "ok")]) == (pinned.status, pinned.trail)
            assert (503, "no_healthy_upstream") == (nobody.status, nobody.error["code"])
            assert "the request is pinned to third" in nobody.error["message"]

    run_virtual(scenario())


def test_explain_header_answers_with_the_plan() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            seen = await running.chat(headers={"x-holdfast-explain": "1"})

            assert ["primary/m", "backup/m"] == [step["deployment"] for step in seen.json["steps"]]
            assert [True, False] == [step["serves"] for step in seen.json["steps"]]
            opens = "5 failures in a row, or, of at least 5 requests, error rate 60%"
            assert [opens, opens] == [step["breaker_opens"] for step in seen.json["steps"]]
            assert 0 == running.received("primary")

    run_virtual(scenario())


def test_globs_take_the_name_that_was_asked_for() -> None:
    async def scenario() -> None:
        routes = ROUTES + '  "gpt-*": {chain: ["primary/*", backup/m]}\n  "gpt-4*": {chain: ["backup/*"]}\n'
        async with fleet(routes) as running:
            plain = await running.chat("gpt-3.5", stream=False)
            longest = await running.chat("gpt-4o", stream=False)

            assert ("primary", "gpt-3.5", "gpt-*") == tuple(
                plain.headers[f"x-holdfast-{name}"] for name in ("upstream", "model", "route")
            )
            assert ("backup", "gpt-4o") == (longest.headers["x-holdfast-upstream"], longest.headers["x-holdfast-model"])
            assert "gpt-3.5" == json.loads(plain.body)["model"]
            assert ["chat", "alone", "three"] == [
                model["id"] for model in (await running.request("GET", "/v1/models")).json["data"]
            ]
            assert 200 == (await running.request("GET", "/v1/models/gpt-anything")).status

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "path_not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/admin/v1/status", 405, "method_not_allowed"),
        ("GET", "/v1/models/nothing-like-it", 404, "model_not_found"),
        ("GET", "/admin/v1/deployments/a/b", 404, "deployment_not_found"),
        ("GET", "/v1/%00", 404, "path_not_found"),
    ],
)
def test_errors_in_shape(method: str, path: str, status: int, code: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            seen = await running.request(method, path)

            assert (status, code) == (seen.status, seen.error["code"])
            assert {"message", "type", "param", "code"} == set(seen.error)
            assert seen.headers["x-request-id"]

    run_virtual(scenario())


def test_health_and_readiness() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            assert "ok" == (await running.request("GET", "/health")).json["status"]
            assert 200 == (await running.request("GET", "/readyz")).status
            await running.simulator.inject("primary", "model_missing")
            await running.chat()
            assert "degraded" == (await running.request("GET", "/health")).json["status"]
            for name in ("backup", "third"):
                await running.simulator.inject(name, "model_missing")
                await running.chat("three")
            assert "unavailable" == (await running.request("GET", "/health")).json["status"]
            assert 503 == (await running.request("GET", "/readyz")).status
            assert 200 == (await running.request("GET", "/livez")).status

    run_virtual(scenario())


def test_ready_while_breakers_are_open_but_not_while_all_is_switched_off() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            names = ("primary", "backup", "third")
            for name in names:
                await running.request("POST", f"/admin/v1/deployments/{name}/m/open")
            assert "unavailable" == (await running.request("GET", "/health")).json["status"]
            assert 200 == (await running.request("GET", "/readyz")).status
            for name in names:
                await running.request("POST", f"/admin/v1/deployments/{name}/m/drain")
            seen = await running.request("GET", "/readyz")
            assert (503, b"no route can answer: all deployments rest or are switched off\n") == (seen.status, seen.body)

    run_virtual(scenario())


def test_metrics_are_parseable_and_hold_no_made_up_labels() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "503")
            await running.chat()
            await running.chat('evil"\\model')
            await running.chat("evil-model")
            page = (await running.request("GET", "/metrics")).body.decode()
            samples = {
                (sample.name, *sorted(sample.labels.values())): sample.value
                for family in text_string_to_metric_families(page)
                for sample in family.samples
            }

            assert "evil" not in page
            assert 1 == samples["holdfast_requests_total", "chat", "ok"]
            assert 2 == samples["holdfast_requests_total", "_unknown", "model_not_found"]
            assert 3 == samples["holdfast_attempts_total", "http_503", "primary"]
            assert 1 == samples["holdfast_attempts_total", "backup", "ok"]
            assert 1 == samples["holdfast_degraded_responses_total", "chat", "failover"]
            assert 0 == samples[("holdfast_in_flight_requests",)]

    run_virtual(scenario())


def test_a_bug_of_ours_is_an_error_in_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async def scenario() -> None:
        async with fleet() as running:
            monkeypatch.setattr("proxy.execution.executor.Executor.answer", broken)
            seen = await running.chat(headers={"x-request-id": "find-me"})

            assert (500, "internal_error") == (seen.status, seen.error["code"])
            assert "find-me" in seen.error["message"]
            assert "a bug" not in seen.body.decode()
            assert "internal_error" == running.records[-1].outcome

    run_virtual(scenario())


def test_drain_lets_answers_finish_and_then_ends_them_with_an_error() -> None:
    routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, drain: {delay: 1s, timeout: 5s}}")

    async def scenario() -> None:
        async with fleet(routes) as running:
            voice = running.simulator.upstream("primary").voice
            voice.pace, voice.answer = 0.1, " ".join(["word"] * 20)
            short = asyncio.ensure_future(running.chat())
            await asyncio.sleep(0.1)
            await running.simulator.inject("primary", "endless:interval=0.1")
            endless = asyncio.ensure_future(running.chat())
            await asyncio.sleep(0.1)
            clock = asyncio.get_running_loop().time
            started = clock()
            draining = asyncio.ensure_future(running.proxy.drain())
            await asyncio.sleep(0.5)
            assert 503 == (await running.request("GET", "/readyz")).status
            await draining

            assert 6.0 <= clock() - started < 7.5
            assert (await short).done
            seen = await endless
            assert "shutting_down" == seen.error["code"]
            assert "[DONE]" not in seen.events

    run_virtual(scenario())
