"""Clients that do not behave: they leave in the middle of what they send, and of what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

_LEAVE_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: a reset in place of a good end."""
Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter, random.Random], Awaitable[None]]


def _request(*, stream: bool, words: int) -> bytes:
    body = json.dumps(
        {"model": "chat", "stream": stream, "max_tokens": words, "messages": [{"role": "user", "content": "hi " * 200}]}
    ).encode()
    lines = ("Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join(["POST /v1/chat/completions HTTP/1.1", *lines, "", ""]).encode() + body


_STREAM, _JSON = _request(stream=True, words=60), _request(stream=False, words=60)


async def half_a_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(_STREAM[: luck.randint(1, 80)])
    await asyncio.sleep(luck.uniform(0, 0.5))


async def half_a_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(_STREAM[: luck.randint(150, len(_STREAM) - 1)])
    await asyncio.sleep(luck.uniform(0, 0.5))


async def leaves_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(luck.choice([_STREAM, _JSON]))
    await writer.drain()


async def leaves_before_the_answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(luck.choice([_STREAM, _JSON]))
    await asyncio.sleep(luck.uniform(0, 0.1))


async def leaves_a_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(_STREAM)
    for _ in range(luck.randint(1, 20)):
        await reader.read(2000)


async def reads_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(_STREAM)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport can
    await asyncio.sleep(luck.uniform(0.5, 2))


async def pipelines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write((_STREAM + _JSON) * luck.randint(1, 3))
    for _ in range(luck.randint(1, 10)):
        await reader.read(2000)


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random) -> None:
    writer.write(luck.randbytes(500))
    await reader.read(2000)


MANNERS: tuple[Manner, ...] = (
    half_a_head,
    half_a_body,
    leaves_at_once,
    leaves_before_the_answer,
    leaves_a_stream,
    leaves_a_stream,
    reads_nothing,
    pipelines,
    no_http,
)


class Rude:
    """Such clients at work, between entering and leaving the context."""

    def __init__(self, port: int, workers: int) -> None:
        self.did: Counter[str] = Counter()
        self._port = port
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._work(number), name=f"rude {number}") for number in range(self._workers)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, number: int) -> None:
        luck = random.Random(number)
        while True:
            manner = luck.choice(MANNERS)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(5):
                    await self._meet(manner, luck)
            self.did[manner.__name__] += 1
            await asyncio.sleep(luck.uniform(0, 0.2))

    async def _meet(self, manner: Manner, luck: random.Random) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await manner(reader, writer, luck)
        finally:
            if luck.random() < 0.5:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LEAVE_AT_ONCE)
            writer.transport.abort() if luck.random() < 0.5 else writer.close()
