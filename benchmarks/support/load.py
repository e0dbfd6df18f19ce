"""The clients: a fixed number of workers, each asking again as soon as it has its answer; every second one streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
import msgspec

_decode = msgspec.json.decode


class Answer(NamedTuple):
    """What one client got. `began` is the wall clock; `took` is in seconds."""

    began: float
    took: float
    status: int
    """0 where there was no HTTP answer."""
    good: bool
    """A whole answer with status 200."""
    stream: bool
    upstream: str
    trail: str
    degraded: str
    retry_after: str
    problem: str

    @property
    def ended(self) -> float:
        """The wall clock at its end."""
        return self.began + self.took


class Load:
    """Clients at work, between entering and leaving the context."""

    def __init__(self, url: str, model: str, workers: int, *, think: float = 0.0) -> None:
        """`think` is what each worker waits between an answer and its next request, in seconds."""
        self.answers: list[Answer] = []
        self._url = f"{url}/v1/chat/completions"
        self._model = model
        self._workers = workers
        self._think = think
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        # As many connections as workers: none waits for another one's.
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
        self._tasks = [
            asyncio.create_task(self._work(self._session, number), name=f"client {number}")
            for number in range(self._workers)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        try:
            if kind is None:
                # Those that run are let finish, so that none of them counts as a failure.
                await asyncio.wait(self._tasks, timeout=30)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._session is not None:
                await self._session.close()

    def between(self, start: float, end: float) -> list[Answer]:
        """The answers to requests that began in a stretch of wall-clock time."""
        return [answer for answer in self.answers if start <= answer.began < end]

    def finished(self, start: float, end: float) -> int:
        """How many good answers came to their end in a stretch of wall-clock time."""
        return sum(answer.good and start <= answer.ended < end for answer in self.answers)

    async def _work(self, session: aiohttp.ClientSession, number: int) -> None:
        # Not all at the same moment.
        await asyncio.sleep(number * 0.003)
        for serial in _count(number):
            if self._stopping:
                return
            self.answers.append(await self._ask(session, serial, stream=serial % 2 == 0))
            if self._think:
                await asyncio.sleep(self._think)

    async def _ask(self, session: aiohttp.ClientSession, serial: int, *, stream: bool) -> Answer:
        body = {"model": self._model, "stream": stream, "messages": [{"role": "user", "content": f"question {serial}"}]}
        began, started = time.time(), time.perf_counter()
        try:
            async with session.post(self._url, json=body) as reply:
                said = await reply.read()
                headers, status = reply.headers, reply.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            took = time.perf_counter() - started
            return Answer(began, took, 0, False, stream, "", "", "", "", f"{type(error).__name__}: {error}"[:200])
        took = time.perf_counter() - started
        good = status == 200 and (_whole_stream(said) if stream else _whole_json(said))
        return Answer(
            began,
            took,
            status,
            good,
            stream,
            headers.get("x-holdfast-upstream", ""),
            headers.get("x-holdfast-trail", ""),
            headers.get("x-holdfast-degraded", ""),
            headers.get("retry-after", ""),
            "" if good else said[-300:].decode(errors="replace"),
        )


def retries(trail: str) -> int:
    """Attempts of a trail that went to the same deployment as the one before."""
    places = [item.split(";")[0].strip() for item in trail.split(",") if item.strip()]
    return sum(before == after for before, after in pairwise(places))


def _count(first: int) -> Iterator[int]:
    serial = first
    while True:
        yield serial
        serial += 1


def _whole_stream(said: bytes) -> bool:
    return said.rstrip().endswith(b"data: [DONE]") and b'data: {"error"' not in said


def _whole_json(said: bytes) -> bool:
    try:
        return bool(_decode(said)["choices"][0]["message"]["content"])
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        return False
