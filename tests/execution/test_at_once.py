"""What is decided without a look at the whole chain is what the look would have led to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import parse_chat
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.execution.executor import Executor
from proxy.execution.run import Begun, JsonAnswer, Run
from proxy.execution.waiting_room import WaitingRoom
from proxy.execution.walk import Walk, World
from proxy.policies.concurrency import LimitSettings
from proxy.pool.operator import Operator
from proxy.pool.permit import IGNORED, SUCCEEDED, Permit
from proxy.pool.pool import Pool
from proxy.pool.standing import FREE
from proxy.pool.upkeep import tick
from proxy.routing.next_move import Attempt, next_move
from proxy.routing.plan import Plan
from tests.support.plans import guarded, plan, step
from tests.support.play import budgets
from tests.support.virtual_time import run_virtual

IDS = [DeploymentId("a", "m"), DeploymentId("b", "m"), DeploymentId("a", "n")]
RULES = [
    guarded(consecutive=2, open_for=5.0, probes=1, limit=2),
    guarded(consecutive=2, open_for=5.0, probes=1, limit=2, ramp=20.0),
]
F = FailureClass
OUTCOMES: list[Any] = [
    SUCCEEDED,
    IGNORED,
    Failure(F.OVERLOADED, "http_503"),
    Failure(F.RATE_LIMITED, "http_429", wait=4.0),
    Failure(F.QUOTA, "quota"),
    Failure(F.CREDENTIAL, "http_401", status=401),
    Failure(F.MODEL_GONE, "http_404"),
    Failure(F.CALLER_FAULT, "http_400"),
    Failure(F.TIMEOUT, "first_token_timeout"),
]
HAPPENED = st.lists(
    st.tuples(
        st.sampled_from(
            ["attempt", "attempt", "attempt", "stay", "open", "close", "drain", "disable", "enable", "reset", "tick"]
        ),
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from(OUTCOMES),
        st.sampled_from([0.0, 0.0, 1.0, 6.0, 30.0]),
    ),
    max_size=12,
)  # fmt: skip
PLANS = st.builds(
    lambda chain, rules, resort, strategy, deadline: plan(
        *(step(IDS[each].upstream, place, rules=RULES[rules]) for place, each in enumerate(chain)),
        last_resort=resort,
        strategy=strategy,
        deadline=deadline,
    ),
    st.lists(st.integers(0, 1), max_size=3),
    st.integers(0, 1),
    st.sampled_from([None, "nobody"]),
    st.sampled_from(["sequential", "weighted", "parallel"]),
    st.sampled_from([0.0, 1000.0]),
)


def played(happened: list[tuple[Any, ...]], limits: bool, keys: int) -> tuple[Pool, float]:
    """A pool with a past."""
    upstreams = {"a": LimitSettings(3, 3, 3)} if limits else {}
    pool = Pool({"a": keys, "b": 1}, [(IDS[0], RULES[0])], upstreams)
    operator, now = Operator(pool), 0.0
    for what, id_, rules, outcome, passed in happened:
        deployment = IDS[id_]
        if what in {"attempt", "stay"}:
            permit = pool.admit(deployment, RULES[rules], now)
            if isinstance(permit, Permit) and what == "attempt":
                pool.report(permit, outcome, now + 0.1, 0.5)
        elif what == "open":
            operator.open(deployment, None, 5.0, now)
        elif what == "close":
            operator.close(deployment, None, None, now)
        elif what in {"drain", "disable"}:
            operator.order(deployment, "drain" if what == "drain" else "disable", None, 5.0, now)
        elif what == "enable":
            operator.enable(deployment, None)
        elif what == "reset":
            operator.reset([deployment], None, now)
        else:
            tick(pool, (), now, 0)
        now += passed
    return pool, now


def counts(pool: Pool) -> list[tuple[Any, ...]]:
    # In the order of their names: which of them was looked at last is of no consequence here.
    return sorted(
        (each.id, each.in_flight, pool.upstream(each.id.upstream).in_flight, pool.upstream(each.id.upstream).turn)
        for each in pool.deployments()
    )


def permitted(permit: Permit) -> tuple[Any, ...]:
    tickets = sorted((RULES.index(guard.rules), period) for guard, period in permit.tickets)
    return permit.deployment.id, permit.key, permit.admitted_at, tickets, list(permit.events)


@settings(max_examples=1000)
@given(happened=HAPPENED, id_=st.integers(0, 2), rules=st.integers(0, 1), limits=st.booleans(), keys=st.integers(1, 2))
def test_admitted_where_nothing_is_to_be_said(
    *, happened: list[tuple[Any, ...]], id_: int, rules: int, limits: bool, keys: int
) -> None:
    quick, now = played(happened, limits, keys)
    other, _ = played(happened, limits, keys)
    standing = other.standing(IDS[id_], RULES[rules], now)
    # To look changes nothing that counts.
    before = counts(quick)
    permit = quick.admit_free(IDS[id_], RULES[rules], now)

    if permit is None:
        assert before == counts(quick)
        return
    assert standing is FREE
    admitted = other.admit(IDS[id_], RULES[rules], now)
    assert isinstance(admitted, Permit)
    assert permitted(admitted) == permitted(permit)
    assert counts(other) == counts(quick)
    for pool, given_out in ((quick, permit), (other, admitted)):
        pool.report(given_out, OUTCOMES[2], now + 1.0, 0.5)
    assert counts(other) == counts(quick)
    assert other.standing(IDS[id_], RULES[rules], now + 1.0) == quick.standing(IDS[id_], RULES[rules], now + 1.0)


def test_it_is_admitted_at_once_when_it_is_well() -> None:
    """Else the comparison above would compare nothing."""
    pool = Pool({"a": 1}, [(IDS[0], RULES[0])])

    assert pool.admit_free(IDS[0], RULES[0], 0.0) is not None


def world_of(pool: Pool, now: float, told: list[object]) -> World:
    room = WaitingRoom(0, told.append, lambda: now)
    return World(None, pool, budgets(), room, told.append, lambda: now, lambda: 0.5, lambda: 0.0)  # type: ignore[arg-type]


@settings(max_examples=1000)
@given(happened=HAPPENED, plan_=PLANS, limits=st.booleans(), keys=st.integers(1, 2))
def test_decided_as_the_whole_look_decides(
    *, happened: list[tuple[Any, ...]], plan_: Plan, limits: bool, keys: int
) -> None:
    async def scenario() -> None:
        quick, now = played(happened, limits, keys)
        other, _ = played(happened, limits, keys)
        request = parse_chat(b'{"model":"chat","messages":[]}')
        told_quick: list[object] = []
        told_other: list[object] = []
        world = world_of(quick, now, told_quick)
        decided = Executor(world)._at_once(Run(plan_, request, now), now)
        if decided is None:
            return
        run = Run(plan_, request, now)
        slow = world_of(other, now, told_other)
        walk = Walk(slow, run)
        move = next_move(plan_, run.history, walk.standings(now), walk, now)

        assert Attempt(0, now, False, decided.last) == move
        admitted = await walk.admitted(move)
        assert admitted is not None
        assert (0, permitted(admitted[1])) == (admitted[0], permitted(decided.permit))
        assert counts(other) == counts(quick)
        assert told_other == told_quick
        assert slow.budgets.remaining(now) == world.budgets.remaining(now)

    run_virtual(scenario())


def test_it_is_decided_at_once_when_all_are_well() -> None:
    pool = Pool({"a": 1, "b": 1}, [(IDS[0], RULES[0]), (IDS[1], RULES[0])])
    world = world_of(pool, 0.0, [])
    request = parse_chat(b'{"model":"chat","messages":[]}')
    chains = [("a",), ("a", "b"), ("a", "a"), ()]
    decided = []
    for chain in chains:
        made = plan(*(step(name, place, rules=RULES[0]) for place, name in enumerate(chain)))
        at_once = Executor(world)._at_once(Run(made, request, 0.0), 0.0)
        decided.append(None if at_once is None else at_once.last)

    assert [True, False, None, None] == decided


def test_one_that_had_begun_draws_its_luck_like_all_others() -> None:
    """Else whoever comes back step by step would get every request that its first choice has failed."""

    async def scenario() -> None:
        pool = Pool({"a": 1, "b": 1}, [(IDS[0], RULES[0]), (IDS[1], RULES[0])])
        made = plan(*(step(name, place, rules=RULES[0]) for place, name in enumerate(("a", "b"))))
        permit = pool.admit_free(IDS[0], RULES[0], 0.0)
        assert permit is not None
        request = parse_chat(b'{"model":"chat","messages":[]}')
        run = Run(made, request, 0.0, begun=Begun(permit, None, last=False))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Executor, "_try", staticmethod(answered))
            await Executor(world_of(pool, 0.0, [])).answer(run)

        assert 0.5 == run.history.luck

    async def answered(*_: object, **__: object) -> JsonAnswer:
        return JsonAnswer(b"{}", {}, (), None)

    run_virtual(scenario())
