"""Two thousand requests over random faults: none outlives its deadline, and every one has a clear end."""

import asyncio
import random

from tests.support.fleet import ROUTES, Fleet, Seen, fleet, until
from tests.support.virtual_time import run_virtual

FAULTS = (
    "refuse", "reset", "close", "hang", "500", "503", "429:retry_after=2", "429:form=none", "html_502", "pings",
    "role_then_silence", "empty_deltas", "stall:after=2", "cut:after=3", "cut_clean:after=3", "malformed:after=2",
    "error_first", "error_later:after=2", "empty", "empty_body", "garbage", "truncated_json",
    "slow_first_token:seconds=3", "slow_headers:seconds=3", "slow_body:seconds=1", "endless:interval=0.2",
    "no_done", "no_done_hang", "overloaded",
    "error_200", "huge_headers", "wrong_type", "reset_after_headers", "context",
)  # fmt: skip
REQUESTS = 2000
AT_ONCE = 50


async def one(running: Fleet, luck: random.Random) -> tuple[float, Seen]:
    deadline = luck.choice([0.5, 1.0, 2.0, 5.0])
    seen = await running.chat(
        luck.choice(["chat", "alone", "three"]),
        stream=luck.random() < 0.6,
        headers={"x-holdfast-timeout": str(deadline)},
    )
    return deadline, seen


def test_no_request_outlives_its_deadline() -> None:
    luck = random.Random(2000)

    async def shuffle_faults(running: Fleet) -> None:
        while True:
            name = luck.choice(list(running.simulator.upstreams))
            await running.simulator.inject(name, luck.choice([None, luck.choice(FAULTS)]))
            await asyncio.sleep(luck.uniform(0.05, 0.5))

    async def scenario() -> None:
        routes = ROUTES.replace("first_token: 8s, idle: 4s", "first_token: 1s, idle: 1s")
        async with fleet(routes) as running:
            shuffling = asyncio.ensure_future(shuffle_faults(running))
            late: list[float] = []
            whole = told = 0
            for _ in range(REQUESTS // AT_ONCE):
                await asyncio.sleep(0.3)
                for deadline, seen in await asyncio.gather(*(one(running, luck) for _ in range(AT_ONCE))):
                    late.append(seen.seconds - deadline)
                    if seen.status == 200 and (seen.done if seen.streamed else seen.text):
                        whole += 1
                    else:
                        told += 1
                        assert seen.error["code"], seen
                        assert not seen.broken
            shuffling.cancel()

            assert REQUESTS == whole + told
            # A client's own share of a crowded loop is in these figures, too.
            assert max(late) < 0.1, sorted(late)[-5:]
            assert whole > REQUESTS / 4
            # A test prompt may still be under way.
            await until(lambda: not any(each.in_flight for each in running.proxy.pool.deployments()))
            assert not running.proxy.lifecycle.running

    run_virtual(scenario())
