"""Of several processes on a host, one goes round for all."""

import asyncio

import pytest

from proxy.core.event import Happening
from proxy.health.prober import Probed
from proxy.health.rounds import Rounds
from proxy.pool.layout import layout_of
from proxy.pool.operator import Operator
from proxy.pool.pool import Pool
from tests.support.fleet import settings_of

ROUTES = """\
version: 1
upstreams: {a: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: only-for-tests}}
defaults: {health: {probe: always, interval: 30s}}
routes: {r: {chain: [a/m]}}
"""


class Asked:
    """Notes who was asked."""

    def __init__(self) -> None:
        self.times = 0

    async def probe(self, *_: object) -> Probed:
        self.times += 1
        return Probed("ok", 0.1)


@pytest.mark.parametrize(("leads", "asked", "told"), [(True, 1, ["revert"]), (False, 0, [])])
def test_only_the_leader_asks_and_tells(leads: bool, asked: int, told: list[str]) -> None:
    async def scenario() -> tuple[int, list[str]]:
        now, prober, events = [0.0], Asked(), list[Happening]()
        settings = settings_of(ROUTES)
        pool = Pool(*layout_of(settings), 0.0)
        rounds = Rounds(settings, pool, prober, events.append, lambda: now[0], lambda: 0.0)  # type: ignore[arg-type]
        rounds.leads = leads
        (deployment,) = pool.deployments()
        Operator(pool).order(deployment.id, "drain", None, 5.0, 0.0)
        rounds.go_round()
        now[0] = 60.0
        rounds.go_round()
        await asyncio.sleep(0)
        # What time brings it brings to all.
        assert deployment.order is None
        return prober.times, [getattr(event, "action", "") for event in events]

    assert (asked, told) == asyncio.run(scenario())
