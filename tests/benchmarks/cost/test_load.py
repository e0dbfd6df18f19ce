"""Clients and provider over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from benchmarks.cost.client import Job
from benchmarks.cost.load import run
from benchmarks.cost.mock import Provider


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(lambda: Provider("good"), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_each_connection_asks_until_the_time_is_over(port: int) -> None:
    job = Job(port, connections=3, seconds=0.05)
    await run(job)

    assert 0 == job.errors
    assert job.answers > 3
    assert job.answers == len(job.took)


async def test_streams_come_whole_and_each_chunk_has_its_delay(port: int) -> None:
    job = Job(port, connections=2, seconds=0.0, chunks=5, pace=0.001)
    await run(job)

    assert (2, 10, 0) == (job.answers, job.events, job.errors)
    assert all(delay >= 0 for delay in job.delays)


async def test_with_a_rate_as_many_are_asked_as_are_due(port: int) -> None:
    job = Job(port, connections=4, seconds=0.1, rate=500)
    await run(job)

    assert (50, 0) == (job.answers, job.errors)
    assert job.wall >= 0.1


async def test_what_waits_for_a_connection_counts_from_when_it_was_due(port: int) -> None:
    job = Job(port, connections=1, seconds=0.02, rate=500, chunks=3, pace=0.01)
    await run(job)

    assert (10, 0) == (job.answers, job.errors)
    # Each takes 40 ms and was due 2 ms after the one before: the last has waited for all of them.
    assert max(job.took) > 0.3
