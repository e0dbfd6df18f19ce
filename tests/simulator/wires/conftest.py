"""One upstream that says ten words, and a raw request to any of its paths."""

import json

import pytest

from proxy.simulator.answers import Voice
from proxy.simulator.server import Simulator
from tests.simulator.conftest import Client, Wire

SAY = "one two three four five six seven eight nine ten"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture
def voice(simulator: Simulator) -> Voice:
    voice = simulator.upstream("primary").voice
    voice.answer = SAY
    return voice


@pytest.fixture
def root(simulator: Simulator) -> str:
    return simulator.base_url("primary").removesuffix("/v1")


@pytest.fixture
def post(voice, client: Client):
    async def post(path: str, body: object, patience: float = 3) -> Wire:
        wire = await client.send("POST", path, json.dumps(body).encode(), patience)
        if wire.end != "complete":
            await client.close()
        return wire

    return post


@pytest.fixture
def get(voice, client: Client):
    async def get(path: str) -> Wire:
        return await client.send("GET", path)

    return get


def sse(wire: Wire) -> list[tuple[str | None, object]]:
    """Name and document of each event."""
    events = []
    for block in wire.body.decode().replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in lines:
            events.append((lines.get("event"), json.loads(lines["data"]) if lines["data"] != "[DONE]" else "[DONE]"))
    return events
