"""What reading the reload and the upstream client with bad intentions found."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from proxy.app import Holdfast
from proxy.core.names import DeploymentId
from tests.support.fleet import fleet
from tests.upstreams.scripted import post, transport

ROUTES = """\
version: 1
server: {port: 0, watch: false}
upstreams:
  primary: {kind: simulated}
  other: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: unused-key}
defaults: {health: {probe: never}}
routes:
  chat: {chain: [primary/m, other/m]}
"""
HEAD = "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"


async def slowly(proxy: Holdfast, path: str, meanwhile: asyncio.Task[object]) -> tuple[int, str]:
    """An operator's request whose body comes only when something else has happened."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write((HEAD % (path, proxy.port)).encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    await meanwhile
    writer.write(b"{}")
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.transport.abort()
    await asyncio.sleep(0)
    return int(head.split(" ")[1]), head


@pytest.mark.parametrize(("action", "status"), [("disable", 200), ("probe", 404)])
async def test_what_an_operator_wants_is_done_in_the_configuration_in_force(
    action: str, status: int, tmp_path: Path
) -> None:
    file = tmp_path / "routes.yaml"
    after = ROUTES.replace("127.0.0.1:9", "127.0.0.1:10")
    if action == "probe":
        after = "\n".join(line for line in ROUTES.split("\n") if "openai" not in line).replace(", other/m", "")
    async with fleet(ROUTES, file=file) as running:
        file.write_text(after)
        meanwhile = asyncio.create_task(running.proxy.reload("signal"))
        told, _ = await slowly(running.proxy, f"/admin/v1/deployments/other/m/{action}", meanwhile)

        assert status == told
        if action == "disable":
            found = running.proxy.pool.find(DeploymentId("other", "m"))
            assert found is not None
            assert found.order is not None
            assert "disable" == found.order.kind


async def test_dials_that_are_given_up_leave_nothing_behind() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"{}"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    async with transport() as over:
        for turns in range(12):
            asking = [asyncio.create_task(post(over, url)) for _ in range(10)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        await asyncio.wait_for(over.close(), 0.9)
    server.close()
    # The server's ends of the last ones hear of it in their own time.
    await asyncio.sleep(0.05)
