"""A whole proxy in front of simulated upstreams, on real loopback sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from proxy.app import Holdfast
from proxy.config.load import load
from proxy.config.resolve import resolve
from proxy.config.settings import Settings
from proxy.control.source import Source
from proxy.core.event import Happening, RequestEnded

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
  third: {kind: simulated}
defaults: {deadline: 60s, timeout: {connect: 1s, first_token: 8s, idle: 4s}}
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
  three: {chain: [primary/m, backup/m, third/m]}
"""


def settings_of(text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a routes.yaml that has no errors."""
    loaded = load(text, filename="routes.yaml", environ=environ or {}, read_file=_no_files)
    assert loaded.config is not None, [finding.message for finding in loaded.findings]
    return resolve(loaded.config, loaded.unconfigured)


def _no_files(path: str) -> str:
    raise FileNotFoundError(path)


@dataclass
class Seen:
    """What a client saw of one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    broken: bool = False
    """The connection ended within the body."""
    arrivals: list[float] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def streamed(self) -> bool:
        """Whether the answer is an event stream."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def events(self) -> list[Any]:
        """The events of a stream, `[DONE]` as text."""
        datas = []
        for block in self.body.decode().split("\n\n"):
            lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
            if lines:
                datas.append("\n".join(lines))
        return [data if data == "[DONE]" else json.loads(data) for data in datas]

    @property
    def text(self) -> str:
        """The text of the answer, streamed or whole."""
        if not self.streamed:
            return str(self.json["choices"][0]["message"]["content"])
        chunks = [event for event in self.events if isinstance(event, dict) and event.get("choices")]
        return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])

    @property
    def done(self) -> bool:
        return self.events.count("[DONE]") == 1 and self.events[-1] == "[DONE]"

    @property
    def error(self) -> Any:
        """The error object, of an error answer or of the last event of a stream."""
        document = self.events[-1] if self.streamed else self.json
        return document.get("error") if isinstance(document, dict) else None

    @property
    def trail(self) -> list[tuple[str, str]]:
        """(upstream, outcome) of each attempt."""
        items = self.headers.get("x-holdfast-trail", "")
        return [(item.partition("/")[0], item.split(";")[1].removeprefix("o=")) for item in items.split(", ") if item]


class Fleet:
    """The running parts, and a client."""

    def __init__(self, proxy: Holdfast, session: aiohttp.ClientSession, told: list[Happening]) -> None:
        assert proxy.simulator is not None
        self.proxy = proxy
        self.simulator = proxy.simulator
        self.session = session
        self._told = told
        self.url = f"http://127.0.0.1:{proxy.port}"

    @property
    def told(self) -> list[Happening]:
        """Every event that the proxy emitted."""
        self.proxy.tell()
        return self._told

    @property
    def records(self) -> list[RequestEnded]:
        return [event for event in self.told if isinstance(event, RequestEnded)]

    def received(self, upstream: str) -> int:
        """How many requests an upstream got."""
        return len(self.simulator.upstream(upstream).requests)

    async def chat(
        self, model: str = "chat", *, stream: bool = True, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Seen:
        """One chat request."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}], **fields}
        return await self.request("POST", "/v1/chat/completions", headers=headers, json=body)

    async def request(self, method: str, path: str, **arguments: Any) -> Seen:
        """Any request, read to its end."""
        clock = asyncio.get_running_loop().time
        started = clock()
        pieces: list[bytes] = []
        arrivals: list[float] = []
        broken = False
        async with self.session.request(method, self.url + path, **arguments) as response:
            try:
                async for piece in response.content.iter_any():
                    pieces.append(piece)
                    arrivals.append(clock() - started)
            except aiohttp.ClientError:
                broken = True
            body = b"".join(pieces)
            return Seen(response.status, response.headers, body, clock() - started, broken, arrivals)


async def until(condition: Callable[[], object], patience: float = 60.0) -> None:
    """Let time pass until a condition holds; AssertionError when it does not within `patience` seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while not condition():
        assert clock() < deadline, "it never came to that"
        await asyncio.sleep(0.01)


async def at_once(what: Callable[[], Any]) -> Any:
    """Instead of a thread: virtual time goes on while nobody but a thread is at work."""
    return what()


def holdfast_of(file: Path, listeners: tuple[Callable[[Happening], None], ...] = (), **environ: str) -> Holdfast:
    """A proxy whose configuration is a file that can be read again."""
    source = Source(file, environ, aside=at_once)
    loaded = source.load()
    settings = source.settings(loaded)
    assert settings is not None, [finding.message for finding in loaded.findings]
    return Holdfast(settings, config=loaded.masked, listeners=listeners, source=source)


@asynccontextmanager
async def fleet(
    routes: str = ROUTES, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> AsyncIterator[Fleet]:
    """Start everything, and stop it again. With a `file`, the routes are in it, and it is watched."""
    told: list[Happening] = []
    if file is not None:
        file.write_text(routes)
        proxy = holdfast_of(file, (told.append,), **(environ or {}))
    else:
        proxy = Holdfast(settings_of(routes, environ), listeners=(told.append,))
    await proxy.start()
    assert proxy.simulator is not None
    for upstream in proxy.simulator.upstreams.values():
        upstream.voice.first_token_delay = 0.01
    timeout = aiohttp.ClientTimeout(total=None)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Fleet(proxy, session, told)
    finally:
        await proxy.stop()
