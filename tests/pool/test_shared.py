"""Several processes of one host: what one sees all know, and limits hold for all together."""

import random

import pytest

from proxy.config.settings import Rules
from proxy.core.event import BreakerChanged
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.policies.concurrency import LimitSettings
from proxy.pool.orders import Order, carry_out
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.shared import SharedPool
from proxy.pool.snapshot import picture
from proxy.pool.standing import Hold, Standing
from proxy.pool.upkeep import tick
from tests.support.hosts import Host, permit
from tests.support.plans import guarded

ID = DeploymentId("a", "m")
RULES = guarded(consecutive=4, minimum_requests=100, open_for=10.0, close_after=2, probes=2)
DOWN = Failure(FailureClass.OVERLOADED, "http_503")
LIMITED = Failure(FailureClass.RATE_LIMITED, "http_429", wait=7.0)


def host(size: int = 2, rules: Rules = RULES, **others: object) -> Host:
    return Host(size, {ID: [rules]}, **others)  # type: ignore[arg-type]


def attempt(pool: SharedPool, outcome: Outcome, now: float = 0.0, rules: Rules = RULES) -> list[object]:
    given = permit(pool, ID, rules, now)
    return [*given.events, *pool.report(given, outcome, now)]


def states(host_: Host) -> list[str]:
    return [pool.deployment(ID).guards[0].breaker.state.value for pool in host_.pools]


def pictures(host_: Host, now: float) -> list[object]:
    for pool in host_.pools:
        pool.count()
    return [picture(pool, ID, now) for pool in host_.pools]


def test_what_one_sees_all_show() -> None:
    running = host(3)
    attempt(running.pools[0], SUCCEEDED, 1.0)
    attempt(running.pools[1], DOWN, 2.0)
    attempt(running.pools[2], SUCCEEDED, 3.0)
    running.pools[1].count_rejected(ID, RULES, 3.0)
    running.deliver(3.0)

    one, two, three = pictures(running, 4.0)
    assert one == two == three
    assert (3, 2, 1) == (one.attempts, one.succeeded, one.failed)  # type: ignore[attr-defined]
    assert 1 == one.breakers[0].rejected  # type: ignore[attr-defined]


def test_all_know_what_to_ask_it_in_a_probe() -> None:
    running = host()
    given = permit(running.pools[1], ID, RULES, 1.0)
    given.embeds = True
    running.pools[1].report(given, SUCCEEDED, 1.5)
    running.deliver(2.0)

    assert [(True, False), (True, False)] == [
        (pool.deployment(ID).embeds, pool.deployment(ID).streams) for pool in running.pools
    ]


def test_an_opening_holds_everywhere_and_is_told_once() -> None:
    running = host()
    told = [event for _ in range(4) for event in attempt(running.pools[1], DOWN, 1.0)]
    told += running.deliver(1.0)

    assert ["open"] == [event.target for event in told if isinstance(event, BreakerChanged)]
    assert ["open", "open"] == states(running)
    one, two = (pool.standing(ID, RULES, 2.0) for pool in running.pools)
    assert (Hold.OPEN, one.usable_at) == (two.hold, two.usable_at)


def test_failures_of_several_open_it_together_by_the_leader_alone() -> None:
    running = host(3)
    for pool in running.pools[1:]:
        attempt(pool, DOWN, 1.0)
        attempt(pool, DOWN, 1.0)
    told = running.deliver(1.0)

    assert ["consecutive_failures"] == [event.cause for event in told if isinstance(event, BreakerChanged)]
    assert ["open", "open", "open"] == states(running)


def test_of_two_moves_the_later_holds_whoever_hears_first() -> None:
    running = host()
    for _ in range(4):
        attempt(running.pools[1], DOWN, 1.0)
    order = Order("close", ID, None, 1.5)
    carry_out(running.pools[0], order, lambda _id: [RULES])
    running.pools[0]._tell_guards(running.pools[0].deployment(ID))
    running.deliver(2.0)

    assert ["closed", "closed"] == states(running)


def test_half_open_all_together_admit_so_many() -> None:
    running = host(4)
    for _ in range(4):
        attempt(running.pools[0], DOWN, 1.0)
    running.deliver(1.0)
    later = 12.0
    # Nobody has heard yet that another one is trying.
    admitted = [pool.admit(ID, RULES, later) for pool in running.pools]

    assert 2 == sum(isinstance(each, Permit) for each in admitted)
    refused = [each for each in admitted if isinstance(each, Standing)]
    assert [Hold.PROBING, Hold.PROBING] == [each.hold for each in refused]


def test_successes_of_several_close_it() -> None:
    running = host()
    for _ in range(4):
        attempt(running.pools[0], DOWN, 1.0)
    running.deliver(1.0)
    given = [permit(pool, ID, RULES, 12.0) for pool in running.pools]
    running.deliver(12.0)
    running.pools[1].report(given[1], SUCCEEDED, 12.5)
    running.deliver(12.5)
    assert ["half_open", "half_open"] == states(running)
    running.pools[0].report(given[0], SUCCEEDED, 13.0)
    running.deliver(13.0)

    assert ["closed", "closed"] == states(running)
    assert 1 == len({pool.standing(ID, RULES, 14.0).share for pool in running.pools})


def test_a_place_of_a_worker_that_died_is_free_again() -> None:
    running = host()
    for _ in range(4):
        attempt(running.pools[0], DOWN, 1.0)
    running.deliver(1.0)
    for _ in range(2):
        permit(running.pools[1], ID, RULES, 12.0)
    running.deliver(12.0)
    assert isinstance(running.pools[0].admit(ID, RULES, 12.0), Standing)

    running.table.clear(1)
    permit(running.pools[0], ID, RULES, 12.0)


@pytest.mark.parametrize("outcome", [SUCCEEDED, DOWN, IGNORED])
def test_limits_hold_for_all_together(outcome: Outcome) -> None:
    limited = guarded(limit=3)
    running = host(2, limited)
    given = [permit(pool, ID, limited) for pool in (*running.pools, running.pools[0])]
    assert [Hold.FULL, Hold.FULL] == [pool.standing(ID, limited, 0.0).hold for pool in running.pools]
    assert isinstance(running.pools[1].admit(ID, limited, 0.0), Standing)
    running.pools[0].report(given[0], outcome, 0.0)

    assert isinstance(running.pools[1].admit(ID, limited, 0.0), Permit)


def test_the_limit_of_an_upstream_holds_for_all_together() -> None:
    running = host(2, limits={"a": LimitSettings(1, 1, 1)})
    permit(running.pools[0], ID, RULES)

    admitted = running.pools[1].admit(ID, RULES, 0.0)
    assert isinstance(admitted, Standing) and admitted.hold is Hold.FULL


def test_a_rest_holds_for_the_same_key_everywhere() -> None:
    running = host(2, keys=2)
    attempt(running.pools[1], LIMITED, 1.0)
    running.deliver(1.0)

    rests = [pool.deployment(ID).key_rests for pool in running.pools]
    assert rests[0] == rests[1]
    assert [8.0] == [rest.until for rest in rests[0].values()]


def test_a_good_probe_ends_a_rest_everywhere() -> None:
    running = host()
    attempt(running.pools[1], LIMITED, 1.0)
    running.deliver(1.0)
    probing = running.pools[0].admit_probe(ID, 2.0)
    assert probing is not None
    running.pools[0].report(probing, SUCCEEDED, 2.0)
    running.deliver(2.0)

    assert [None, None] == [pool.standing(ID, RULES, 2.0).hold for pool in running.pools]


def test_whoever_joins_knows_what_the_others_know() -> None:
    running = host()
    for _ in range(4):
        attempt(running.pools[1], DOWN, 1.0)
    attempt(running.pools[0], LIMITED, 0.5)
    running.deliver(1.0)
    running.join()
    running.deliver(1.0)

    one, _, three = pictures(running, 2.0)
    assert one == three
    assert BreakerState.OPEN is running.pools[2].deployment(ID).guards[0].breaker.state


def test_a_success_elsewhere_ends_failures_in_a_row() -> None:
    running = host()
    for _ in range(3):
        attempt(running.pools[0], DOWN, 1.0)
    running.deliver(1.0)
    attempt(running.pools[1], SUCCEEDED, 2.0)
    running.deliver(2.0)
    attempt(running.pools[0], DOWN, 3.0)
    running.deliver(3.0)

    assert ["closed", "closed"] == states(running)


def test_what_no_route_leads_to_is_left_out() -> None:
    running = host()
    running.pools[0].hear("outcome", "gone", "m", (0, True, False, False, 0.0, None, None, 1.0))
    running.pools[0].hear("ejected", "a", "unknown", 9.0, "errors")

    assert [ID] == [each.id for each in running.pools[0].deployments()]


def test_a_kind_that_nobody_knows_is_a_bug() -> None:
    with pytest.raises(ValueError, match="gossip"):
        host().pools[0].hear("gossip", "a", "m")


BUSY = guarded(consecutive=3, open_for=5.0, max_open_for=5.0, close_after=2, probes=2, limit=4, ramp=3.0, stable=3.0)


class Traffic:
    """Three processes with attempts, orders and ticks, heard of now and then."""

    def __init__(self, luck: random.Random) -> None:
        self.luck, self.host, self.now = luck, Host(3, {ID: [BUSY]}), 1.0
        self.under_way: list[tuple[SharedPool, Permit]] = []

    def go_on(self) -> None:
        self.now += self.luck.random() * 0.2
        act = self.luck.choices([self.admit, self.report, self.deliver, self.tick, self.order], [40, 30, 10, 10, 1])[0]
        act()

    def admit(self) -> None:
        pool = self.luck.choice(self.host.pools)
        admitted = pool.admit(ID, BUSY, self.now)
        if isinstance(admitted, Permit):
            self.under_way.append((pool, admitted))
        trying = [each.places[2] for _, each in self.under_way if len(each.places) > 2]
        assert all(trying.count(place) <= 2 for place in trying)
        assert len(self.under_way) <= 4

    def report(self) -> None:
        if self.under_way:
            pool, given = self.under_way.pop(self.luck.randrange(len(self.under_way)))
            outcome = self.luck.choice([SUCCEEDED, DOWN, DOWN, IGNORED, LIMITED])
            pool.report(given, outcome, self.now, self.luck.random())

    def deliver(self) -> None:
        self.host.deliver(self.now)

    def tick(self) -> None:
        for pool in self.host.pools:
            tick(pool, (), self.now, 0)

    def order(self) -> None:
        self.deliver()
        order = Order(self.luck.choice(["open", "close", "reset"]), ID, None, self.now, 2.0)
        for pool in self.host.pools:
            carry_out(pool, order, lambda _id: [BUSY])

    def end(self) -> None:
        for pool, given in self.under_way:
            pool.report(given, IGNORED, self.now)
        self.deliver()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_in_whatever_order_all_come_to_the_same(seed: int) -> None:
    traffic = Traffic(random.Random(seed))
    for _ in range(300):
        traffic.go_on()
    traffic.end()

    pools, now = traffic.host.pools, traffic.now
    standings = [pool.standing(ID, BUSY, now) for pool in pools]
    assert 1 == len({(each.hold, each.usable_at) for each in standings})
    assert 1 == len(set(states(traffic.host)))
    assert [0, 0, 0] == [picture(pool, ID, now).in_flight for pool in pools]
    assert 1 == len({(pool.deployment(ID).succeeded, pool.deployment(ID).failed) for pool in pools})
