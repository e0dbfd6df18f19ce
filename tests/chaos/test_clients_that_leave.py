"""A client that leaves closes its upstream connection at once, in every phase, and blames nobody."""

import asyncio

import aiohttp
import pytest

from proxy.core.names import DeploymentId
from tests.support.fleet import Fleet, fleet, until
from tests.support.virtual_time import run_virtual

PHASES = {
    "before the head": ("hang", True),
    "before the head, JSON": ("hang", False),
    "before content": ("role_then_silence", True),
    "within pings": ("pings", True),
    "within the stream": ("endless:interval=0.1", True),
    "within a stalled stream": ("stall:after=3", True),
    "within a slow JSON body": ("slow_body:seconds=5", False),
}


async def leave(running: Fleet, *, stream: bool, after: float) -> None:
    """Ask, and leave after some seconds."""
    body = {"model": "chat", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        task = asyncio.ensure_future(session.post(f"{running.url}/v1/chat/completions", json=body))
        await asyncio.sleep(after)
        if task.done():
            task.result().close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("phase", PHASES)
def test_the_upstream_is_closed_at_once(phase: str) -> None:
    fault, stream = PHASES[phase]

    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", fault)
            await leave(running, stream=stream, after=1.0)
            clock = asyncio.get_running_loop().time
            left = clock()
            await until(lambda: running.simulator.upstream("primary").aborted == 1)

            assert clock() - left < 0.3
            await until(lambda: running.records)
            (record,) = running.records
            assert (499, "client_left", "DC") == (record.status, record.outcome, record.flag)
            assert ["cancelled"] == [attempt.outcome for attempt in record.attempts]
            primary = running.proxy.pool.deployment(DeploymentId("primary", "m"))
            assert (0, 0, 0) == (primary.in_flight, primary.failed, primary.consecutive_failures)
            assert 0 == running.received("backup")

    run_virtual(scenario())


def test_leaving_while_the_proxy_waits_before_a_retry() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=2,times=1")
            await leave(running, stream=True, after=1.0)
            await until(lambda: running.records)
            await asyncio.sleep(5)

            assert 1 == running.received("primary")
            assert 0 == sum(each.in_flight for each in running.proxy.pool.deployments())

    run_virtual(scenario())


def test_a_hundred_that_leave_leak_nothing() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "endless:interval=0.05")
            await asyncio.gather(*(leave(running, stream=True, after=0.5 + number / 100) for number in range(100)))
            await until(lambda: len(running.records) == 100)

            assert 0 == running.proxy.pool.deployments()[0].in_flight
            await until(lambda: running.simulator.upstream("primary").open_connections == 0)

    run_virtual(scenario())
