"""What llama.cpp's server tells of itself decides where requests go, before it has refused any."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.local.conftest import WINDOW
from tests.local.routes import LONG, MODEL, routes
from tests.local.server import LocalServer
from tests.support.fleet import Fleet, fleet

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def learned(running: Fleet) -> Any:
    """What is known of the server's model, once the server was asked."""
    async with asyncio.timeout(10):
        while True:
            shown = await running.request("GET", f"/admin/v1/deployments/local/{MODEL}")
            if shown.json["model"]["facts"]:
                return shown.json["model"]
            await asyncio.sleep(0.01)


async def test_its_window_and_what_it_cannot_see(server: LocalServer) -> None:
    async with fleet(routes(server.url).replace("learn: false", "learn: true")) as running:
        model = await learned(running)

        assert (True, 2) == (model["loaded"], model["slots"])
        assert {"is": WINDOW, "from": "server"} == model["facts"]["max_input"]
        assert {"is": False, "from": "server"} == model["facts"]["vision"]

        assert [("backup", "ok")] == (await running.chat(messages=LONG)).trail
        assert [("backup", "ok")] == (await running.chat(messages=[{"role": "user", "content": [IMAGE]}])).trail
        assert [("local", "ok")] == (await running.chat(max_tokens=3)).trail


async def test_its_list_tells_the_window_to_whoever_takes_it_for_any_server(server: LocalServer) -> None:
    async with fleet(routes(server.url, "openai").replace("learn: false", "learn: true")) as running:
        model = await learned(running)

        assert (None, True) == (model["loaded"], model["listed"])
        assert {"max_input": {"is": WINDOW, "from": "server"}} == model["facts"]
