"""`holdfast serve` with several workers, as its users and operators see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.cli.conftest import Process

LISTENING = r'"event":"listening","url":"(http://127\.0\.0\.1:\d+)/v1"'
_PATIENCE_S = 10.0


class Host:
    """A proxy with several workers that listens."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.wait_for(LISTENING)[1]

    def get(self, path: str) -> Any:
        """JSON by GET, over a connection of its own, so that any worker may answer."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        with _open(f"{self.url}{path}", timeout=_PATIENCE_S) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **body: object) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with _open(request, timeout=_PATIENCE_S) as answer:
            return json.loads(answer.read())

    def chat(self, model: str = "default") -> int:
        """The status of one request."""
        try:
            self.post("/v1/chat/completions", **question(model))
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    @property
    def workers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/admin/v1/status")["workers"]
        return found

    @property
    def leader(self) -> int:
        """Its process's number."""
        return next(int(each["pid"]) for each in self.workers if each["leads"])

    def follower(self) -> int:
        """The process's number of one that serves and does not lead."""
        return next(int(each["pid"]) for each in self.workers if not each["leads"] and each["phase"] == "serving")

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(pid, number)

    def wait_for_workers(self, count: int, *, without: int = 0) -> list[dict[str, Any]]:
        """Until so many serve, and the one without which it is wanted is gone."""
        return wait_until(lambda: self._serving(count, without))

    def metric(self, series: str) -> float:
        """The value of one series."""
        line = next((line for line in self.text("/metrics").splitlines() if line.startswith(f"{series} ")), None)
        return 0.0 if line is None else float(line.rpartition(" ")[2])

    def inject(self, upstream: str, fault: str | None, **parameters: float) -> None:
        control = self.get("/admin/v1/status")["simulator"]
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{control}/upstreams/{upstream}/fault",
            json.dumps({"fault": fault, **parameters}).encode(),
            {"content-type": "application/json"},
            method="PUT",
        )
        _open(request, timeout=_PATIENCE_S).close()

    def _serving(self, count: int, without: int) -> list[dict[str, Any]] | None:
        workers = self.workers
        serving = [each for each in workers if each["phase"] == "serving"]
        return workers if len(serving) == count and without not in {each["pid"] for each in workers} else None


def question(model: str = "default", **others: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, **others}


def _open(request: str | urllib.request.Request, timeout: float) -> Any:
    return urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 - our own address


def wait_until(true: Callable[[], Any]) -> Any:
    """What it is once it is true."""
    until = time.monotonic() + _PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


@asynccontextmanager
async def load(host: Host, clients: int) -> AsyncIterator[Counter[str]]:
    """So many clients that ask again and again; how often they got which status, or which failure."""
    seen: Counter[str] = Counter()
    over = False

    async def ask(session: aiohttp.ClientSession) -> None:
        while not over:
            try:
                async with session.post(f"{host.url}/v1/chat/completions", json=question()) as answer:
                    await answer.read()
                    seen[str(answer.status)] += 1
            except aiohttp.ClientError as error:
                seen[type(error).__name__] += 1

    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        asking = [asyncio.create_task(ask(session)) for _ in range(clients)]
        try:
            yield seen
        finally:
            over = True
            await asyncio.gather(*asking)
