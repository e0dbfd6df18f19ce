"""Clients as applications are: the official SDK over connections that are kept, without its retries.

Some ask again at once, some think first, so that their connections lie idle; every second one streams, every fourth
one listens for seconds. An answer counts as whole when every word of it came, and its end.
"""

from __future__ import annotations

import asyncio
import random
import time
from types import TracebackType
from typing import NamedTuple, Self

import openai

WORDS = 60
"""Of a whole answer of the simulated upstreams, see `Pace`."""
_SHORT = 4
_PATIENCE_S = 60.0


class Said(NamedTuple):
    """What one client got. `began` is the wall clock, `took` is in seconds."""

    began: float
    took: float
    stream: bool
    problem: str
    """Empty where the answer was whole."""

    @property
    def ended(self) -> float:
        """The wall clock at its end."""
        return self.began + self.took


class Talk:
    """Clients at work, between entering and leaving the context."""

    def __init__(self, url: str, model: str, workers: int, *, long: bool = True, about: int = 0) -> None:
        """Without `long` answers nobody listens for more than a moment.

        `about` is by how many words an answer may miss its cap: of one that broke and was gone on with, tokens are
        estimated.
        """
        self.said: list[Said] = []
        self._model = model
        self._workers = workers
        self._about = about
        self._long = WORDS if long else _SHORT
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=_PATIENCE_S)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._work(number), name=f"client {number}") for number in range(self._workers)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.finish()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._client.close()

    async def finish(self) -> None:
        """Ask nothing more. Requests that run are let finish, so that none of them counts as lost."""
        self._stopping = True
        await asyncio.wait(self._tasks, timeout=_PATIENCE_S)

    @property
    def lost(self) -> list[Said]:
        """Those that did not get the whole answer."""
        return [each for each in self.said if each.problem]

    async def _work(self, number: int) -> None:
        luck = random.Random(number)
        serial = number
        while not self._stopping:
            words = self._long if serial % 4 == 3 else _SHORT
            self.said.append(await self._ask(serial, words, stream=serial % 2 == 1))
            serial += 1
            if number % 2:
                await asyncio.sleep(luck.uniform(0, 1.5))

    async def _ask(self, serial: int, words: int, *, stream: bool) -> Said:
        began, started = time.time(), time.perf_counter()
        try:
            text, finish = await (self._stream if stream else self._whole)(f"question {serial}", words)
            count = len(text.split())
            whole = finish is not None and abs(count - words) <= self._about
            problem = "" if whole else f"{count} of {words} words, ended by {finish}"
        except (openai.OpenAIError, OSError) as error:
            cause = f", {error.__cause__!r}" if error.__cause__ else ""
            problem = f"{type(error).__name__}: {error}{cause}"[:300]
        return Said(began, time.perf_counter() - started, stream, problem)

    async def _whole(self, question: str, words: int) -> tuple[str, str | None]:
        reply = await self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": question}], max_tokens=words
        )
        return reply.choices[0].message.content or "", reply.choices[0].finish_reason

    async def _stream(self, question: str, words: int) -> tuple[str, str | None]:
        events = await self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": question}], max_tokens=words, stream=True
        )
        text, finish = "", None
        async for event in events:
            for choice in event.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
        return text, finish


def telling(lost: list[Said]) -> str:
    """The different problems, and how often each."""
    counts: dict[str, int] = {}
    for each in lost:
        counts[each.problem] = counts.get(each.problem, 0) + 1
    shown = sorted(counts.items(), key=lambda item: -item[1])[:3]
    return "; ".join(f"{count} x {problem}" for problem, count in shown)
