"""Another configuration for a running proxy, over real sockets in virtual time."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.core.event import Reloaded
from proxy.core.names import DeploymentId
from tests.support.fleet import Fleet, Seen, fleet, until
from tests.support.raw import hang_up
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0, watch: false}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults: {deadline: 60s, health: {probe: never}, retry: {attempts: 1}, breaker: {consecutive: 2}}
routes:
  chat: {chain: [primary/m, backup/m]}
"""
BAD = ROUTES.replace("chain: [primary/m, backup/m]", "chain: [primary/m, bakcup/m], dedline: 5s")
PRIMARY = DeploymentId("primary", "m")


async def reload(running: Fleet, file: Path, text: str, **arguments: Any) -> Seen:
    file.write_text(text)
    return await running.request("POST", "/admin/v1/reload", **arguments)


async def taken(running: Fleet, file: Path, text: str) -> Any:
    seen = await reload(running, file, text)
    assert 200 == seen.status, seen.body
    return seen.json


async def served_by(running: Fleet, model: str = "chat", **headers: str) -> tuple[int, str]:
    seen = await running.chat(model, stream=False, headers=headers)
    return seen.status, seen.headers.get("x-holdfast-upstream", "nobody")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "routes.yaml"


def test_new_requests_go_by_the_new_file(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            assert (200, "primary") == await served_by(running)
            told = await taken(
                running, file, ROUTES.replace("[primary/m, backup/m]", "[backup/m]") + "  new: {chain: [primary/x]}\n"
            )

            assert ("ok", 0, [], []) == tuple(told[name] for name in ("outcome", "errors", "restart", "findings"))
            assert (200, "backup") == await served_by(running)
            assert (200, "primary") == await served_by(running, "new")
            models = (await running.request("GET", "/v1/models")).json["data"]
            assert ["chat", "new"] == [model["id"] for model in models]
            shown = (await running.request("GET", "/admin/v1/config")).json
            assert {"chat", "new"} == set(shown["routes"])
            status = (await running.request("GET", "/admin/v1/status")).json
            assert ["chat", "new"] == [route["route"] for route in status["routes"]]

    run_virtual(scenario())


def test_a_request_finishes_as_it_began(file: Path) -> None:
    """Its chain, its timers and its upstreams, also those that are gone."""

    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            await running.simulator.inject("primary", "hang")
            asking = asyncio.ensure_future(running.chat())
            await until(lambda: running.received("primary"))
            other = ROUTES.replace("primary: {kind: simulated}", "third: {kind: simulated}").replace("backup", "fourth")
            await taken(running, file, other.replace("primary/m", "third/m"))
            assert (200, "third") == await served_by(running)
            assert {"primary", "backup", "third", "fourth"} == set(running.simulator.upstreams)

            seen = await asking
            assert (200, [("primary", "first_token_timeout"), ("backup", "ok")]) == (seen.status, seen.trail)
            # Nobody uses them any more.
            await until(lambda: {"third", "fourth"} == set(running.simulator.upstreams))

    run_virtual(scenario())


def test_a_stream_outlives_its_upstream(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            running.simulator.upstream("primary").voice.answer = "one two three four five six seven eight nine ten"
            async with running.session.post(
                f"{running.url}/v1/chat/completions",
                json={"model": "chat", "stream": True, "messages": [{"role": "user", "content": "hi"}]},
            ) as response:
                first = await response.content.readany()
                await taken(running, file, ROUTES.replace("primary", "elsewhere"))
                rest = await response.read()
            assert b"one" in first
            assert rest.endswith(b"data: [DONE]\n\n")
            assert b"ten" in rest

    run_virtual(scenario())


def test_a_bad_file_changes_nothing_and_says_why(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            before = running.proxy.settings
            seen = await reload(running, file, BAD)

            assert (422, "invalid_configuration") == (seen.status, seen.error["code"])
            assert "refused" == seen.json["outcome"]
            findings = seen.json["findings"]
            assert [("warning", 5), ("error", 8), ("error", 8)] == [
                (each["severity"], each["line"]) for each in findings
            ]
            assert all("^" in finding["text"] for finding in findings)
            assert "did you mean" in findings[1]["message"]
            assert before is running.proxy.settings
            assert (200, "primary") == await served_by(running)

            for path in ("/health", "/admin/v1/status"):
                last = (await running.request("GET", path)).json["last_reload"]
                assert ("refused", 2, "operator") == (last["outcome"], last["errors"], last["cause"])
                assert ("message" in last) == path.startswith("/admin")
            assert last["message"].startswith(f"{file}:8:")
            metrics = (await running.request("GET", "/metrics")).body.decode()
            assert "holdfast_config_last_reload_successful 0.0" in metrics
            assert 'holdfast_config_reloads_total{outcome="refused"} 1.0' in metrics
            audit = (await running.request("GET", "/admin/v1/audit")).json["audit"]
            assert ["Reloaded"] == [entry["event"] for entry in audit]

            again = await reload(running, file, ROUTES, json={"reason": "mended"})
            assert 200 == again.status
            last = (await running.request("GET", "/admin/v1/status")).json["last_reload"]
            assert ("ok", 0, None) == (last["outcome"], last["errors"], last["message"])
            assert [None, "mended"] == [each.reason for each in running.told if isinstance(each, Reloaded)]
            assert ["refused", "ok"] == [each.outcome for each in running.told if isinstance(each, Reloaded)]
            assert (
                "holdfast_config_last_reload_successful 1.0" in (await running.request("GET", "/metrics")).body.decode()
            )

    run_virtual(scenario())


@pytest.mark.parametrize("text", ["", "version: 1\nupstreams: [", "\x00", "version: 2\n"])
def test_what_is_no_configuration(file: Path, text: str) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            assert 422 == (await reload(running, file, text)).status
            file.unlink()
            gone = await running.request("POST", "/admin/v1/reload")
            assert (422, True) == (gone.status, "there is no such file" in gone.error["message"])
            assert (200, "primary") == await served_by(running)

    run_virtual(scenario())


def test_what_is_known_survives(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            await running.simulator.inject("primary", "503")
            for _ in range(2):
                await running.chat()
            ports = {name: upstream.base_url for name, upstream in running.simulator.upstreams.items()}
            for edit in (ROUTES + "  more: {chain: [third/m]}\n", ROUTES.replace("deadline: 60s", "deadline: 50s")):
                await taken(running, file, edit.replace("  backup:", "  third: {kind: simulated}\n  backup:"))

            shown = (await running.request("GET", "/admin/v1/deployments/primary/m")).json
            assert ("open", 2) == (shown["breakers"][0]["state"], shown["failed"])
            # The fault is where it was, and so is the port.
            assert "503" == str(running.simulator.upstream("primary").fault)
            assert ports == {name: running.simulator.base_url(name) for name in ports}
            assert (200, "backup") == await served_by(running)

    run_virtual(scenario())


def test_what_takes_a_restart_is_said(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            moved = ROUTES.replace("port: 0", "port: 9999, host: 127.0.0.9") + "state: {path: other.db}\n"
            told = await taken(running, file, moved)

            assert ["server.host", "server.port", "state.path"] == told["restart"]
            assert ["warning"] * 3 == [finding["severity"] for finding in told["findings"]]
            assert "server.host takes effect at a restart; until then it is 127.0.0.1" == told["findings"][0]["message"]
            assert ("127.0.0.1", 0) == (running.proxy.settings.server.host, running.proxy.settings.server.port)
            assert "takes effect at a restart: server.host, server.port, state.path" == told["message"]
            assert (200, "primary") == await served_by(running)

    run_virtual(scenario())


def test_nobody_is_let_in_by_taking_the_clients_away(file: Path) -> None:
    async def scenario() -> None:
        clients = 'clients: [{name: me, key: "long-enough"}]\nadmin: {key: operator-key}\n'
        everywhere = ROUTES.replace("port: 0", "port: 0, host: 0.0.0.0")
        async with fleet(everywhere + clients, file=file) as running:
            operator = {"Authorization": "Bearer operator-key"}
            # In order by itself: it would listen on the loopback. But it goes on listening everywhere.
            seen = await reload(running, file, ROUTES + "admin: {key: operator-key}\n", headers=operator)
            assert (422, True) == (seen.status, "would let anyone in" in seen.error["message"])
            assert (401, "nobody") == await served_by(running)

    run_virtual(scenario())


def test_clients_operators_and_limits_change_at_once(file: Path) -> None:
    async def scenario() -> None:
        clients = 'clients: [{name: me, key: "old-enough-key"}]\nadmin: {key: operator-key}\n'
        async with fleet(ROUTES + clients, file=file) as running:
            old, new = ({"Authorization": f"Bearer {key}"} for key in ("old-enough-key", "new-enough-key"))
            assert (200, "primary") == await served_by(running, **old)
            after = ROUTES.replace("port: 0", "port: 0, max_body: 1KB, max_concurrent: 1") + clients
            after = after.replace("old-enough", "new-enough").replace("operator", "manager")
            seen = await reload(running, file, after, headers={"Authorization": "Bearer operator-key"})
            assert 200 == seen.status, seen.body

            assert (401, "nobody") == await served_by(running, **old)
            assert (200, "primary") == await served_by(running, **new)
            refused = await running.request("GET", "/admin/v1/status", headers={"Authorization": "Bearer operator-key"})
            assert 401 == refused.status
            assert 413 == (await running.chat(headers=new, user="x" * 2000)).status
            await running.simulator.inject("primary", "hang")
            asking = asyncio.ensure_future(running.chat(headers=new))
            await until(lambda: 2 < running.received("primary"))
            assert 503 == (await running.chat(headers=new)).status
            await asking

    run_virtual(scenario())


def test_patience_with_clients_changes_for_new_connections(file: Path) -> None:
    async def silence(running: Fleet) -> float:
        """Seconds until a client that says nothing is let go."""
        clock = asyncio.get_running_loop().time
        started = clock()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port)
        assert b"" == await reader.read()
        await hang_up(writer)
        return clock() - started

    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            before = asyncio.ensure_future(silence(running))
            await asyncio.sleep(1)
            await taken(running, file, ROUTES.replace("watch: false", "watch: false, timeout: {header: 2s}"))
            assert pytest.approx(2, abs=0.1) == await silence(running)
            assert pytest.approx(10, abs=0.1) == await before

    run_virtual(scenario())


def test_larger_bodies_are_let_in_at_once(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES.replace("port: 0", "port: 0, max_body: 100KB"), file=file) as running:
            assert 413 == (await running.chat(user="x" * 1_000_000)).status
            await taken(running, file, ROUTES)
            assert 200 == (await running.chat(user="x" * 1_000_000)).status

    run_virtual(scenario())


def test_keys_are_read_from_their_files_again(file: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "key").write_text("first-key")
        text = ROUTES.replace("primary: {kind: simulated}", 'primary: {kind: simulated, api_key: "${file:key}"}')
        async with fleet(text, file=file) as running:
            await running.simulator.inject("primary", "unauthorized")
            assert (200, "backup") == await served_by(running)
            await running.simulator.inject("primary", None)
            # The key rests.
            assert (200, "backup") == await served_by(running)
            (tmp_path / "key").write_text("second-key")
            await taken(running, file, text)
            assert (200, "primary") == await served_by(running)
            sent = running.simulator.upstream("primary").requests[-1]
            assert "Bearer second-key" == sent.headers["authorization"]

    run_virtual(scenario())


def test_who_waits_for_a_place_gets_one_that_is_new(file: Path) -> None:
    async def scenario() -> None:
        narrow = ROUTES.replace("chain: [primary/m, backup/m]", "chain: [primary/m], max_concurrent: 1")
        async with fleet(narrow, file=file) as running:
            running.simulator.upstream("primary").voice.answer = " ".join(["word"] * 500)
            first = asyncio.ensure_future(running.chat())
            await until(lambda: running.received("primary"))
            second = asyncio.ensure_future(running.chat())
            await asyncio.sleep(0.1)
            assert 1 == running.received("primary")
            await taken(running, file, narrow.replace("max_concurrent: 1", "max_concurrent: 2"))
            await until(lambda: 2 == running.received("primary"), 1.0)
            assert [200, 200] == [(await each).status for each in (first, second)]

    run_virtual(scenario())


def test_probes_follow_the_new_settings(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            await asyncio.sleep(40)
            assert 0 == running.received("primary")
            await taken(running, file, ROUTES.replace("probe: never", "probe: always, interval: 5s"))
            await asyncio.sleep(20)
            assert 2 <= running.received("primary")

    run_virtual(scenario())


def test_metrics_show_what_is_configured(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            before = (await running.request("GET", "/metrics")).body.decode()
            await taken(running, file, ROUTES.replace("backup", "spare"))
            after = (await running.request("GET", "/metrics")).body.decode()
            for page, name, other in ((before, "backup", "spare"), (after, "spare", "backup")):
                assert f'holdfast_upstream_in_flight_attempts{{upstream="{name}"}}' in page
                assert f'holdfast_breaker_state{{upstream="{name}"' in page
                assert f'upstream="{other}"' not in page
            hashes = {line for page in (before, after) for line in page.splitlines() if "config_info{" in line}
            assert 2 == len(hashes)

    run_virtual(scenario())


def test_who_may_reload(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            refused = await reload(running, file, BAD, headers={"Origin": "http://evil.example"})
            assert 403 == refused.status
            assert 405 == (await running.request("GET", "/admin/v1/reload")).status
            assert 400 == (await reload(running, file, BAD, json={"for": "10m"})).status
            running.proxy.lifecycle.draining = True
            assert 409 == (await reload(running, file, ROUTES)).status
            assert [] == [each for each in running.told if isinstance(each, Reloaded)]
        async with fleet(ROUTES) as running:
            assert 409 == (await running.request("POST", "/admin/v1/reload")).status

    run_virtual(scenario())


def test_followers_of_events_go_on(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            timeout = aiohttp.ClientTimeout(total=None)
            url = f"{running.url}/admin/v1/events?types=Reloaded"
            async with running.session.get(url, timeout=timeout) as response:
                for _ in range(2):
                    await taken(running, file, ROUTES)
                lines: list[Any] = []
                while len(lines) < 2:
                    line = (await response.content.readline()).decode()
                    if line.startswith("data:"):
                        lines.append(json.loads(line[5:]))
            assert ["ok", "ok"] == [line["outcome"] for line in lines]

    run_virtual(scenario())
