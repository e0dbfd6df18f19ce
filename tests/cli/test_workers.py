"""Several workers behind one port: real processes, killed and replaced."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Process
from tests.cli.hosts import Host, load, question, wait_until

ROUTES = """\
version: 1
server: {port: 0, workers: 2, drain: {timeout: 5s}}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults:
  breaker: {consecutive: 4, open_for: 2s, max_open_for: 2s, probes: 1, close_after: 1}
  health: {probe: never}
  retry: {attempts: 1}
  panic: never
  resume: off
routes:
  default: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
  narrow: {chain: [backup/n], max_concurrent: 2}
"""


@pytest.fixture
def host(start: Callable[..., Process], folder: Path) -> Host:
    (folder / "routes.yaml").write_text(ROUTES)
    return Host(start("serve"))


def test_all_workers_are_one_proxy(host: Host) -> None:
    """What one was asked, ordered or has seen, every other one shows; each change is told once."""
    for _ in range(12):
        assert 200 == host.chat()
    pages = [host.text("/metrics") for _ in range(6)]
    assert 1 == len({line for page in pages for line in page.splitlines() if line.startswith("holdfast_requests_t")})
    assert 12.0 == host.metric('holdfast_requests_total{outcome="ok",route="default"}')
    assert {12} == {host.get("/health")["routes"][0]["deployments"][0]["attempts"] for _ in range(8)}
    host.post("/admin/v1/deployments/primary/m/drain", reason="upgrade")
    assert {"drain"} == {host.get("/health")["routes"][0]["deployments"][0]["order"] for _ in range(8)}
    assert [1] * 6 == [len(host.get("/admin/v1/audit")["audit"]) for _ in range(6)]
    assert 2 == len({each["pid"] for each in host.workers})
    assert {"0", "1"} >= {line[1] for line in lines_of_requests(host)}


def lines_of_requests(host: Host) -> list[tuple[str, str]]:
    lines = [line for line in host.process.output.splitlines() if '"event":"request"' in line]
    return [("worker", line.rpartition('"worker":')[2].rstrip("}")) for line in lines]


def test_a_breaker_is_that_of_the_host_within_a_tenth_of_a_second(host: Host) -> None:
    host.inject("primary", "503")
    for _ in range(4):
        host.chat("alone")
    opened = time.monotonic()
    states = set()
    while time.monotonic() < opened + 0.1:
        states = {host.get("/health")["routes"][1]["deployments"][0]["breakers"][0]["state"] for _ in range(6)}
    assert {"open"} == states
    assert 4 == received(host, "primary")

    # Half-open, one of all requests at all workers may try it; it hangs, so its place stays taken.
    host.inject("primary", "hang")
    time.sleep(max(0.0, opened + 2.3 - time.monotonic()))
    statuses = asyncio.run(at_once(host, "alone", 16, patience=1.0))
    assert (5, [0, *[503] * 15]) == (received(host, "primary"), sorted(statuses))


def received(host: Host, upstream: str) -> int:
    control = host.get("/admin/v1/status")["simulator"]
    return int(Elsewhere(control).get(f"/upstreams/{upstream}")["requests"])


class Elsewhere(Host):
    """Another address."""

    def __init__(self, url: str) -> None:
        self.url = url


async def at_once(host: Host, model: str, count: int, patience: float = 10.0) -> list[int]:
    """The statuses of so many requests, each over a connection of its own; 0 for none in time."""
    port = int(host.url.rpartition(":")[2])

    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(patience):
                writer.write(as_bytes(model))
                return int((await reader.readline()).split()[1])
        except TimeoutError:
            return 0
        finally:
            writer.close()

    return await asyncio.gather(*(ask() for _ in range(count)))


def as_bytes(model: str) -> bytes:
    import json  # noqa: PLC0415

    body = json.dumps(question(model)).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (
        len(body), body,
    )  # fmt: skip


def test_a_limit_is_that_of_the_host(host: Host) -> None:
    async def scenario() -> int:
        asking = asyncio.create_task(at_once(host, "narrow", 20))
        await asyncio.sleep(1.0)
        # Nobody has left by now, whose place another one could have.
        sent = await asyncio.to_thread(received, host, "backup")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return sent

    host.inject("backup", "hang")
    assert 2 == asyncio.run(scenario())


def test_kill_9_of_any_worker_costs_its_own_connections_only(host: Host) -> None:
    async def scenario() -> tuple[dict[str, int], list[float]]:
        counted = []
        async with load(host, 20) as seen:
            for turn in range(3):
                await asyncio.sleep(0.5)
                pid = (
                    await asyncio.to_thread(lambda: host.leader) if turn % 2 else await asyncio.to_thread(host.follower)
                )
                counted.append(await asyncio.to_thread(host.metric, OK))
                host.kill(pid)
                await asyncio.to_thread(host.wait_for_workers, 2, without=pid)
                counted.append(await asyncio.to_thread(host.metric, OK))
        return dict(seen), counted

    seen, counted = asyncio.run(scenario())
    # A worker has no more connections than there are clients.
    assert seen.pop("200") > 100
    assert set(seen) <= {"ServerDisconnectedError", "ClientOSError", "ClientPayloadError"}
    assert sum(seen.values()) <= 3 * 20
    assert counted == sorted(counted)
    assert 3.0 == host.metric('holdfast_worker_restarts_total{cause="killed"}')


OK = 'holdfast_requests_total{outcome="ok",route="default"}'


def test_what_waits_on_the_socket_of_a_dead_worker_is_served(host: Host) -> None:
    pid = host.follower()
    host.kill(pid, signal.SIGSTOP)

    async def scenario() -> list[int]:
        asking = asyncio.create_task(at_once(host, "default", 40))
        await asyncio.sleep(0.5)
        host.kill(pid)
        return await asking

    assert [200] * 40 == asyncio.run(scenario())


def test_rolling_restarts_break_nothing(host: Host) -> None:
    before = {each["pid"] for each in host.workers}

    async def scenario() -> dict[str, int]:
        async with load(host, 10) as seen:
            for turn in range(3):
                await asyncio.sleep(0.3)
                host.process.send(signal.SIGUSR2)
                await asyncio.to_thread(wait_until, lambda: host.metric(ASKED) == 2.0 * (turn + 1))  # noqa: B023
        return dict(seen)

    assert ["200"] == list(asyncio.run(scenario()))
    wait_until(lambda: 2 == len(host.workers))
    assert not before & {each["pid"] for each in host.workers}


ASKED = 'holdfast_worker_restarts_total{cause="asked"}'


def test_reloads_take_effect_in_all_workers_before_they_are_answered(host: Host, folder: Path) -> None:
    async def scenario() -> dict[str, int]:
        async with load(host, 10) as seen:
            for turn in range(10):
                text = ROUTES.replace("alone:", f"alone{turn}:")
                (folder / "routes.yaml").write_text(text)
                assert "ok" == (await asyncio.to_thread(lambda: host.post("/admin/v1/reload")))["outcome"]
                served = await asyncio.to_thread(lambda: [host.chat(f"alone{turn}") for _ in range(4)])  # noqa: B023
                assert [200] * 4 == served
        return dict(seen)

    assert ["200"] == list(asyncio.run(scenario()))
    pid = host.follower()
    host.kill(pid)
    host.wait_for_workers(2, without=pid)
    assert [200] * 8 == [host.chat("alone9") for _ in range(8)]
    refused = ROUTES.replace("chain: [primary/m]", "chain: [nobody/m]")
    (folder / "routes.yaml").write_text(refused)
    host.process.send(signal.SIGHUP)
    host.process.wait_for('"event":"reload".*"outcome":"refused"')
    time.sleep(0.1)
    assert {"refused"} == {host.get("/health")["last_reload"]["outcome"] for _ in range(20)}
    read = len(host.get("/admin/v1/audit")["audit"])
    pid = host.leader
    host.kill(pid)
    host.wait_for_workers(2, without=pid)
    time.sleep(1.5)
    # The next leader watches the file, and knows that this one has been read.
    assert read == len(host.get("/admin/v1/audit")["audit"])


def test_the_state_file_outlives_the_leader_and_the_proxy(host: Host, start: Callable[..., Process]) -> None:
    host.post("/admin/v1/deployments/primary/m/disable", reason="old")
    host.kill(host.leader)
    host.wait_for_workers(2)
    host.post("/admin/v1/deployments/backup/m/drain", reason="new")
    second = start("serve", "--port", "0")
    assert 1 == second.end()
    assert "is in use by process" in second.output
    host.process.kill()
    # Workers whose supervisor is gone go, too, and with them the claim to the file.
    wait_until(lambda: not answers(host))
    again = wait_until(lambda: begun(start))
    assert [("disable", "drain")] * 4 == [orders(again) for _ in range(4)]


def begun(start: Callable[..., Process]) -> Host | None:
    process = start("serve")
    try:
        return Host(process)
    except AssertionError:
        return None


def answers(host: Host) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", int(host.url.rpartition(":")[2]))) == 0


def orders(host: Host) -> tuple[str, ...]:
    return tuple(each["order"] for each in host.get("/health")["routes"][0]["deployments"])


def test_events_of_all_workers_are_followed_at_any(host: Host) -> None:
    async def scenario() -> tuple[int, list[int]]:
        port = int(host.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /admin/v1/events?types=RequestEnded HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"\n\n")
        statuses = await at_once(host, "default", 20)
        ended = 0
        async with asyncio.timeout(5):
            while ended < 20:
                ended += (await reader.readline()).startswith(b"event: RequestEnded")
        writer.close()
        return ended, statuses

    assert (20, [200] * 20) == asyncio.run(scenario())


def test_told_to_stop_all_finish_what_they_have(host: Host) -> None:
    async def scenario() -> list[int]:
        asking = asyncio.create_task(at_once(host, "default", 10))
        await asyncio.sleep(0.05)
        host.process.send(signal.SIGTERM)
        return await asking

    assert [200] * 10 == asyncio.run(scenario())
    assert 0 == host.process.end()
    assert '"event":"stopped"' in host.process.output
    assert not answers(host)


def test_told_all_at_once_to_stop_by_a_service_manager_they_finish_what_they_have(host: Host) -> None:
    """Each worker then hears of it twice, which is no wish to hurry."""

    async def scenario() -> list[int]:
        asking = asyncio.create_task(at_once(host, "default", 10))
        await asyncio.sleep(0.5)
        supervisor = host.process.pid
        others = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        for pid in [*map(int, others), supervisor]:
            host.kill(pid, signal.SIGTERM)
        return await asking

    host.inject("primary", "slow_headers", seconds=1.5)
    assert [200] * 10 == asyncio.run(scenario())
    assert 0 == host.process.end()
    assert "told again to stop" not in host.process.output


@pytest.mark.parametrize(
    ("workers", "problem"),
    [
        ("0", "0 is too few workers"),
        ("1000", "1000 is too many workers; at most 64"),
        ("two", "'two' is not a number of workers"),
    ],
)
def test_a_wrong_number_of_workers(start: Callable[..., Process], folder: Path, workers: str, problem: str) -> None:
    (folder / "routes.yaml").write_text(ROUTES)
    process = start("serve", "--workers", workers)
    assert 2 == process.end()
    assert problem in process.output.replace("'0'", "0").replace("'1000'", "1000")


class _Server(ThreadingHTTPServer):
    """A server that lists a model with its window, and nothing else."""

    asked = 0


class _List(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.asked += 1
        body = b'{"object":"list","data":[{"id":"m","object":"model","max_model_len":4096}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in the library
        """Nothing is written."""


def test_one_worker_asks_servers_about_their_models_and_all_know(start: Callable[..., Process], folder: Path) -> None:
    loaded = 'holdfast_model_loaded{upstream="gpu",model="m"}'
    with _Server(("127.0.0.1", 0), _List) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gpu = f"  gpu: {{kind: vllm, base_url: 'http://127.0.0.1:{server.server_port}/v1'}}\n"
        routes = ROUTES.replace("  backup: {", gpu + "  backup: {").replace(
            "[primary/m, backup/m]", "[gpu/m, backup/m]"
        )
        (folder / "routes.yaml").write_text(routes)
        host = Host(start("serve"))
        wait_until(lambda: all(host.metric(loaded) for _ in range(8)))
        assert 1 == server.asked
        pid = host.leader
        host.kill(pid)
        host.wait_for_workers(2, without=pid)
        wait_until(lambda: server.asked == 2)
        assert {1.0} == {host.metric(loaded) for _ in range(8)}
        server.shutdown()
