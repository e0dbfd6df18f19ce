"""The sweep of idle connections was due by the timer's sum and not by its own difference, and set itself again for now:
a millisecond of CPU on a real clock, and for ever in virtual time (tests/chaos/test_reload.py ran without end)."""

import asyncio

import pytest

from proxy.upstreams.pool import IDLE_S
from tests.support.virtual_time import run_virtual
from tests.upstreams.scripted import ask, transport, upstream


def between_two_sums() -> float:
    """A moment a that is idle for less than IDLE_S when the clock says a + IDLE_S, by the last bit of it."""
    return next(at for number in range(1000) if (at := 1000.0 + number * 0.01) + IDLE_S - at < IDLE_S)


@pytest.mark.parametrize("at", [between_two_sums(), 1004.0])
def test_a_sweep_that_is_a_bit_too_early_comes_back_later(at: float) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with upstream() as running, transport() as over:
            await asyncio.sleep(at - loop.time())
            await ask(over, running.url)
            assert at == loop.time()
            await asyncio.sleep(IDLE_S + 1)

            assert running.writers[0].transport.is_closing()

    run_virtual(scenario())
