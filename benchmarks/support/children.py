"""The processes under measurement: the simulated upstreams, and `holdfast serve` on a routes.yaml of its own.

Everything lies in one temporary folder: routes.yaml, the state file, what the processes write on standard error.
Whoever leaves the fleet, in whatever way, has ended both processes, each by its own id.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b", "c")
_PATIENCE_S = 30.0
_NO_WAIT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True)
class Pace:
    """How the upstreams answer, all of them alike. Seconds; `spread` is the sigma of the time to the first word."""

    first_token: float = 0.02
    pace: float = 0.002
    words: int = 8
    spread: float = 0.0


@dataclass
class Fleet:
    """The running processes, and how to talk to them."""

    folder: Path
    port: int
    control: str
    session: aiohttp.ClientSession
    proxy: Process | None = None
    logs: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The proxy's address."""
        return f"http://127.0.0.1:{self.port}"

    async def inject(self, name: str, fault: str | None) -> None:
        """Break an upstream; None heals it."""
        async with self.session.put(f"{self.control}/upstreams/{name}/fault", json={"fault": fault}) as reply:
            reply.raise_for_status()

    async def received(self) -> dict[str, int]:
        """Requests that each upstream has received, test prompts included."""
        async with self.session.get(f"{self.control}/") as reply:
            return {each["name"]: each["requests"] for each in (await reply.json())["upstreams"]}

    async def get(self, path: str) -> Any:
        """A JSON document of the proxy."""
        async with self.session.get(f"{self.url}{path}", timeout=_NO_WAIT) as reply:
            reply.raise_for_status()
            return await reply.json()

    async def post(self, path: str, body: Mapping[str, object]) -> Any:
        """An operator's command."""
        async with self.session.post(f"{self.url}{path}", json=body, timeout=_NO_WAIT) as reply:
            reply.raise_for_status()
            return await reply.json()

    async def counted(self, metric: str) -> float:
        """The sum of a metric over all its labels."""
        async with self.session.get(f"{self.url}/metrics", timeout=_NO_WAIT) as reply:
            text = await reply.text()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith((metric + "{", metric + " ")))
        return sum(float(value) for _, value in rows)

    async def start_proxy(self) -> None:
        """Run the proxy until it answers."""
        log = (self.folder / "proxy.log").open("ab")
        self.logs.append(log)
        command = (sys.executable, "-m", "proxy", "serve", "-c", str(self.folder / "routes.yaml"))
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.proxy = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=environment, start_new_session=True
        )
        async with asyncio.timeout(_PATIENCE_S):
            while not await self._lives():
                if self.proxy.returncode is not None:
                    raise RuntimeError(f"the proxy did not start:\n{(self.folder / 'proxy.log').read_text()[-2000:]}")
                await asyncio.sleep(0.02)

    async def _lives(self) -> bool:
        try:
            async with self.session.get(f"{self.url}/livez", timeout=_NO_WAIT) as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False

    async def kill_proxy(self) -> None:
        """As the kernel does it when memory is short: kill -9."""
        if self.proxy is not None and self.proxy.returncode is None:
            self.proxy.kill()
            await self.proxy.wait()


@contextlib.asynccontextmanager
async def fleet(config: Mapping[str, object], pace: Pace | None = None) -> AsyncIterator[Fleet]:
    """Upstreams a, b and c, and a proxy whose routes.yaml has this besides its upstreams and its port."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        upstreams = await _start_upstreams(Path(folder), pace or Pace())
        running: Fleet | None = None
        try:
            told = json.loads(await asyncio.wait_for(_first_line(upstreams), _PATIENCE_S))
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
                running = Fleet(Path(folder), _free_port(), told["control"], session)
                _write_routes(running, told["upstreams"], config)
                await running.start_proxy()
                yield running
        finally:
            await asyncio.shield(_end(upstreams, running))


async def _start_upstreams(folder: Path, pace: Pace) -> Process:
    command = [sys.executable, "-m", "benchmarks.support.upstreams"]
    command += [part for name in NAMES for part in ("--name", name)]
    command += ["--first-token", str(pace.first_token), "--pace", str(pace.pace), "--words", str(pace.words)]
    command += ["--spread", str(pace.spread)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "upstreams.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=log, cwd=folder, env=environment, start_new_session=True
        )


async def _first_line(process: Process) -> bytes:
    return b"" if process.stdout is None else await process.stdout.readline()


def _write_routes(running: Fleet, urls: Mapping[str, str], config: Mapping[str, object]) -> None:
    document = {
        "version": 1,
        "server": {"port": running.port},
        "upstreams": {name: {"kind": "simulated", "base_url": url} for name, url in urls.items()},
        "telemetry": {"log": {"level": "error", "format": "json"}},
        **config,
    }
    # JSON is YAML, too.
    (running.folder / "routes.yaml").write_text(json.dumps(document, indent=1), encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _end(upstreams: Process, running: Fleet | None) -> None:
    for process in (running.proxy if running is not None else None, upstreams):
        if process is None or process.returncode is not None:
            continue
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
    for log in running.logs if running is not None else ():
        log.close()
