"""Clients that cost next to nothing.

    python -m benchmarks.cost.load '{"port": 8400, "connections": 64, "seconds": 2, ...}'

Usually each of a number of connections asks again as soon as it has its answer. With a `rate`, requests leave when they
are due, whatever comes back, and their latency counts from that moment, so that nobody's stall is hidden. With `hold`,
all connections are brought up, by one answer or the first chunk of a stream, and held until the end of standard input.

Prints one line of JSON: what was answered, in what time, and how busy this process was.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable

from benchmarks.cost import ticks
from benchmarks.cost.client import Client, Job
from benchmarks.cost.machine import allow_many_files
from benchmarks.cost.wire import loop_factory

_PATIENCE_S = 30.0


async def _connected(job: Job, then: Callable[[Client], None]) -> Client:
    loop = asyncio.get_running_loop()
    request = job.request()
    return (await loop.create_connection(lambda: Client(job, request, then), "127.0.0.1", job.port))[1]


async def _closed(job: Job) -> None:
    """Each connection asks again as soon as it has its answer."""
    until = time.monotonic() + job.seconds
    running, done = set[Client](), asyncio.Event()

    def then(client: Client) -> None:
        if time.monotonic() < until and not client.lost:
            client.ask()
            return
        running.discard(client)
        if not running:
            done.set()

    for _ in range(job.connections):
        client = await _connected(job, then)
        running.add(client)
        client.ask()
        if job.ramp:
            await asyncio.sleep(job.ramp / job.connections)
    await _all(job, done, running)


async def _open(job: Job) -> None:
    """Requests leave when they are due, on whatever connection is free, or as soon as one is."""
    free: list[Client] = []
    waiting: deque[float] = deque()
    running, done = set[Client](), asyncio.Event()
    left, wanted, timer = round(job.rate * job.seconds), 0.0, -1

    def then(client: Client) -> None:
        running.discard(client)
        if waiting and not client.lost:
            send(client, waiting.popleft())
        elif not client.lost:
            free.append(client)
        if not running and not left:
            done.set()

    def send(client: Client, wanted: float) -> None:
        running.add(client)
        client.ask(wanted)

    def due() -> None:
        nonlocal left, wanted
        for _ in range(min(left, ticks.passed(timer))):
            if free:
                send(free.pop(), wanted)
            else:
                waiting.append(wanted)
            left -= 1
            wanted += 1 / job.rate

    for _ in range(job.connections):
        free.append(await _connected(job, then))  # noqa: PERF401 - one after the other
    timer, wanted = ticks.every(1 / job.rate)
    asyncio.get_running_loop().add_reader(timer, due)
    try:
        await _all(job, done, running)
    finally:
        asyncio.get_running_loop().remove_reader(timer)
        os.close(timer)
    job.errors += len(waiting)


async def _all(job: Job, done: asyncio.Event, running: set[Client]) -> None:
    """Until all have their answers; who is without one long after the end is an error."""
    try:
        await asyncio.wait_for(done.wait(), job.seconds + _PATIENCE_S)
    except TimeoutError:
        job.errors += len(running)


async def _hold(job: Job) -> None:
    """All connections at once: one after the other has its answer, or all have the first chunk of a stream."""
    clients: list[Client] = []
    for _ in range(job.connections):
        client = await _connected(job, lambda _: None)
        client.ask()
        if not job.chunks:
            await client.begun
        clients.append(client)
    await asyncio.wait([client.begun for client in clients], timeout=job.seconds + _PATIENCE_S)
    job.errors += sum(not client.begun.done() for client in clients)
    print("begun", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def run(job: Job) -> None:
    """All of it; what came of it stands in the job."""
    began, used = time.monotonic(), time.process_time()
    job.settled_ns = round((began + job.ramp * 1.25) * 1e9)
    await (_hold(job) if job.hold else _open(job) if job.rate else _closed(job))
    job.wall, job.cpu = time.monotonic() - began, time.process_time() - used


async def _main(job: Job) -> None:
    await run(job)
    print(json.dumps(job.result()), flush=True)


if __name__ == "__main__":
    allow_many_files()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_main(Job(**json.loads(sys.argv[1]))))
