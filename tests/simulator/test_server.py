"""The simulator as a whole: ports, counters, control, and its end."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest

from proxy.simulator.faults import FAULTS, Fault
from proxy.simulator.server import Simulator

from .conftest import QUESTION, Client


async def until(condition) -> None:
    async with asyncio.timeout(1):
        while not condition():  # noqa: ASYNC110  # the simulator has no event for every counter
            await asyncio.sleep(0.001)


async def refused(client: Client) -> bool:
    await client.close()
    try:
        await client.chat()
    except ConnectionRefusedError:
        return True
    return False


# Paths.


async def test_models(simulator, client):
    simulator.upstream("primary").voice.models = ("gpt-4o", "gpt-5")
    wire = await client.send("GET", "/v1/models")
    assert [row["id"] for row in wire.json["data"]] == ["gpt-4o", "gpt-5"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v1/audio/speech", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
    ],
)
async def test_other_paths_answer_in_the_error_shape(client, method, path, status):
    wire = await client.send(method, path)
    assert wire.status == status
    assert wire.json["error"]["type"] == "invalid_request_error"


async def test_bad_json_is_a_400_in_shape(client):
    wire = await client.send("POST", "/v1/chat/completions", b"{")
    assert (wire.status, wire.json["error"]["type"]) == (400, "invalid_request_error")


async def test_head_has_no_body_and_the_connection_goes_on(client):
    assert (await client.send("HEAD", "/v1/models", patience=0.05)).body == b""
    await client.close()
    assert (await client.chat()).status == 200


async def test_connection_faults_and_refusals_hit_every_path(simulator, client):
    await simulator.inject("primary", "503:times=1")
    assert (await client.send("GET", "/v1/models")).status == 503
    assert (await client.chat()).status == 503
    assert (await client.send("GET", "/v1/models")).status == 200


async def test_a_large_body_and_expect_continue(simulator, client):
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"
    )
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(b" " * 2_000_000)
    await reader.readline()
    assert await reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    writer.close()


# What is received.


async def test_requests_are_remembered(simulator, client):
    await client.chat(stream=True)
    await simulator.inject("primary", "503")
    await client.chat()
    first, second = simulator.upstream("primary").requests
    assert (first.method, first.path, first.headers["content-type"]) == (
        "POST",
        "/v1/chat/completions",
        "application/json",
    )
    assert first.json == {**QUESTION, "stream": True}
    assert first.body.startswith(b'{"model"')
    assert (first.fault, second.fault) == (None, "status")
    assert first.connection == second.connection == 1
    assert first.finished_at is not None
    assert not first.aborted


async def test_memory_is_bounded():
    async with Simulator(keep=3, tokens_per_second=0, first_token_delay=0) as simulator:
        client = Client(simulator.base_url("primary"))
        for number in range(5):
            await client.send("GET", f"/v1/models?{number}")
        kept = simulator.upstream("primary").requests
        assert [request.path for request in kept] == ["/v1/models?2", "/v1/models?3", "/v1/models?4"]
        assert simulator.upstream("primary").received == 5
        await client.close()


async def test_connections_are_counted_and_counters_reset(simulator, client):
    upstream = simulator.upstream("primary")
    await client.chat()
    await client.chat()
    await client.close()
    await client.chat()
    assert (upstream.connections, upstream.received) == (2, 3)
    upstream.reset_counters()
    assert (upstream.connections, upstream.received, upstream.requests) == (0, 0, [])


@pytest.mark.parametrize("fault", ["hang", "stall:after=2", "pings", "endless:interval=0", "no_done_hang"])
async def test_a_client_that_leaves_early_is_counted(simulator, client, fault):
    upstream = simulator.upstream("primary")
    await simulator.inject("primary", fault)
    await client.chat(stream=True, patience=0.02)
    assert upstream.aborted == 0
    await client.close()
    await until(lambda: upstream.aborted == 1)
    assert upstream.requests[0].aborted
    assert upstream.requests[0].finished_at is None


async def test_a_faults_own_end_is_no_abort(simulator, client):
    upstream = simulator.upstream("primary")
    for fault in ("reset", "close", "cut", "cut_clean", "503", None):
        await simulator.inject("primary", fault)
        await client.chat(stream=True)
        await client.close()
    assert upstream.aborted == 0
    assert all(request.finished_at for request in upstream.requests)


async def test_the_pace_is_kept(simulator, client):
    voice = simulator.upstream("primary").voice
    voice.answer, voice.pace, voice.first_token_delay = "a b c", 0.02, 0.03
    started = asyncio.get_running_loop().time()
    assert (await client.chat(stream=True)).text == "a b c"
    assert asyncio.get_running_loop().time() - started >= 0.07
    started = asyncio.get_running_loop().time()
    assert (await client.chat()).status == 200
    assert asyncio.get_running_loop().time() - started >= 0.07


# Ports.


async def test_refuse_and_heal_on_the_same_port(simulator, client):
    await client.chat()
    address = simulator.base_url("primary")
    await simulator.inject("primary", "refuse")
    assert await client.reader.read() == b""
    assert await refused(client)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((client.host, client.port))
    await simulator.inject("primary", None)
    assert simulator.base_url("primary") == address
    assert (await client.chat()).status == 200
    assert simulator.upstream("backup").connections == 0


async def test_refuse_lets_a_running_answer_end(simulator, client):
    simulator.upstream("primary").voice.first_token_delay = 0.05
    running = asyncio.create_task(client.chat(stream=True))
    await until(lambda: simulator.upstream("primary").requests)
    await simulator.inject("primary", "refuse")
    wire = await running
    assert (wire.end, wire.events[-1]) == ("complete", "[DONE]")
    assert await client.reader.read() == b""


async def test_refuse_heals_by_itself(simulator, client):
    await simulator.inject("primary", "refuse:lasts=0.05")
    assert await refused(client)
    await asyncio.sleep(0.08)
    assert simulator.upstream("primary").fault is None
    assert not await refused(client)


async def test_a_port_flaps(simulator, client):
    await simulator.inject("primary", "flapping:inner=refuse,broken=0.04,healthy=0.04")
    assert await refused(client)
    await asyncio.sleep(0.05)
    assert not await refused(client)
    await asyncio.sleep(0.04)
    assert await refused(client)
    await simulator.inject("primary", None)
    assert not await refused(client)


async def test_dropped_connections_are_no_aborts(simulator, client):
    upstream = simulator.upstream("primary")
    await simulator.inject("primary", "hang")
    asked = asyncio.create_task(client.chat())
    await until(lambda: upstream.requests)
    upstream.drop_connections()
    assert (await asked).end == "reset"
    await until(lambda: upstream.open_connections == 0)
    assert (upstream.aborted, upstream.requests[0].dropped) == (0, True)


async def test_given_ports_are_kept_over_a_restart():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    simulator = Simulator()
    await simulator.start({"primary": port})
    control = simulator.control_url
    assert simulator.base_url("primary") == f"http://127.0.0.1:{port}/v1"
    await simulator.close()
    await simulator.start()
    assert (simulator.base_url("primary"), simulator.control_url) == (f"http://127.0.0.1:{port}/v1", control)
    await simulator.close()


async def test_a_taken_port_is_reported_and_nothing_is_left_running():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        simulator = Simulator(("primary", "backup"))
        with pytest.raises(OSError, match="in use"):
            await simulator.start({"backup": taken.getsockname()[1]})
    with pytest.raises(ConnectionRefusedError):
        await Client(simulator.base_url("primary")).chat()
    await simulator.close()


async def test_closing_is_quick_whatever_hangs():
    simulator = Simulator(("primary",))
    await simulator.start()
    clients = [Client(simulator.base_url("primary")) for _ in range(5)]
    faults = ["hang", "stall", "pings", "endless:interval=0", "slow_headers:seconds=60"]
    asked = []
    for client, fault in zip(clients, faults, strict=True):
        await simulator.inject("primary", fault)
        asked.append(asyncio.create_task(client.chat(stream=True)))
        await until(lambda: len(simulator.upstream("primary").requests) == len(asked))
    started = asyncio.get_running_loop().time()
    await simulator.close()
    assert asyncio.get_running_loop().time() - started < 0.3
    assert {wire.end for wire in await asyncio.gather(*asked)} == {"reset"}
    for client in clients:
        await client.close()


async def test_the_same_seed_tells_the_same_story():
    async def story(seed: int) -> list[bytes]:
        async with Simulator(seed=seed, tokens_per_second=0, first_token_delay=0) as simulator:
            await simulator.inject("primary", "random:inner=garbage,probability=0.5")
            client = Client(simulator.base_url("primary"))
            told = [(await client.chat(stream=True)).body for _ in range(8)]
            await client.close()
        return [body if not body.startswith(b"data") else body[:40] for body in told]

    assert await story(3) == await story(3)
    assert await story(3) != await story(4)


def test_misuse_is_told():
    with pytest.raises(ValueError, match="distinct names"):
        Simulator(("a", "a"))
    with pytest.raises(ValueError, match="negative"):
        Simulator(tokens_per_second=-1)
    with pytest.raises(KeyError, match="did you mean 'primary'"):
        Simulator().upstream("primry")


async def test_a_fault_object_is_injected_too(simulator, client):
    await simulator.inject("primary", Fault("status", status=418))
    assert (await client.chat()).status == 418
    with pytest.raises(ValueError, match="did you mean 'stall'"):
        await simulator.inject("primary", "stal")
    assert simulator.upstream("primary").fault == Fault("status", status=418)


# The control API.


@pytest.fixture
async def control(simulator):
    async with aiohttp.ClientSession(simulator.control_url) as session:
        yield session


async def test_control_lists_the_upstreams(simulator, control, client):
    await client.chat()
    await simulator.inject("backup", "503:retry_after=2")
    async with control.get("/") as answer:
        primary, backup = (await answer.json())["upstreams"]
    assert (primary["name"], primary["fault"], primary["requests"], primary["aborted"]) == ("primary", None, 1, 0)
    assert backup["base_url"] == simulator.base_url("backup")
    assert backup["fault"] == {"fault": "503", "retry_after": 2.0, "form": "seconds"}


async def test_control_injects_and_heals(simulator, control):
    async with control.put("/upstreams/primary/fault", json={"fault": "stall", "after": 9}) as answer:
        assert (answer.status, (await answer.json())["fault"]["after"]) == (200, 9)
    assert simulator.upstream("primary").fault == Fault("stall", after=9)
    async with control.put("/upstreams/primary/fault", json={"fault": None}) as answer:
        assert (answer.status, (await answer.json())["fault"]) == (200, None)
    assert simulator.upstream("primary").fault is None


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "low_headroom", "remaining": 3, "limit": 20, "reset": 5.0, "refill": "steady"},
        {"fault": "slower", "factor": 4.0, "probability": 0.05},
        {"fault": "random", "inner": {"fault": "503", "form": "seconds"}, "probability": 0.3},
        {"fault": "flapping", "inner": {"fault": "slower", "factor": 4.0}, "broken": 2.0, "healthy": 3.0},
    ],
)
async def test_control_shows_what_it_was_sent(control, fault):
    async with control.put("/upstreams/primary/fault", json=fault) as answer:
        assert (await answer.json())["fault"] == fault


async def test_control_lists_the_faults(control):
    async with control.get("/faults") as answer:
        rows = {row["fault"]: row for row in (await answer.json())["faults"]}
    assert set(rows) == set(FAULTS)
    assert rows["cut"]["parameters"] == {"after": 5, "share": 0.5, "how": "reset"}
    assert all(row["summary"] for row in rows.values())


async def test_control_resets_counters(simulator, control, client):
    await client.chat()
    async with control.post("/upstreams/primary/reset") as answer:
        assert (await answer.json())["requests"] == 0
    async with control.get("/upstreams/primary") as answer:
        assert (await answer.json())["requests"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("PUT", "/upstreams/primary/fault", '{"fault": "stal"}', 400, "did you mean 'stall'?"),
        ("PUT", "/upstreams/primary/fault", '{"fault": "stall", "aftr": 1}', 400, "did you mean 'after'?"),
        ("PUT", "/upstreams/primary/fault", "{", 400, "send a JSON object such as"),
        ("PUT", "/upstreams/primary/fault", "{}", 400, "send a JSON object such as"),
        ("PUT", "/upstreams/primry/fault", '{"fault": null}', 404, "did you mean 'primary'?"),
        ("GET", "/upstreams/primry", "", 404, "did you mean 'primary'?"),
        ("GET", "/nowhere", "", 404, "no such path: /nowhere"),
        ("POST", "/upstreams/primary/fault", "{}", 405, "use PUT"),
    ],
)
async def test_control_errors_are_clear(control, method, path, body, status, message):
    async with control.request(method, path, data=body) as answer:
        assert answer.status == status
        assert message in (await answer.json())["error"]["message"]


async def test_injecting_while_the_port_flaps_never_loses_it(simulator, client):
    for _ in range(10):
        await simulator.inject("primary", "flapping:inner=refuse,broken=0.002,healthy=0.002")
        await asyncio.sleep(0.003)
        await simulator.inject("primary", None)
        with contextlib.suppress(ConnectionError):
            assert (await client.chat()).status == 200
        await client.close()
    assert (await client.chat()).status == 200


async def test_upstreams_come_and_go_while_others_go_on():
    async with Simulator(["primary"]) as simulator, aiohttp.ClientSession() as session:
        await simulator.inject("primary", "503")
        await simulator.add("late")
        with pytest.raises(ValueError, match="already"):
            await simulator.add("late")
        async with session.get(f"{simulator.control_url}/") as answer:
            assert ["primary", "late"] == [one["name"] for one in (await answer.json())["upstreams"]]
        async with session.get(f"{simulator.base_url('late')}/models") as answer:
            assert 200 == answer.status
        gone = simulator.base_url("late")
        await simulator.remove("late")
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{gone}/models")
        assert "503" == str(simulator.upstream("primary").fault)
        assert {"primary"} == set(simulator.upstreams)
