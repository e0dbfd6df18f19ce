"""The table of cases: what has happened, and what is done next."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, NextDeployment, SameDeployment
from proxy.pool.deployment import Rest
from proxy.pool.pool import Standing
from proxy.routing.next_move import Attempt, GiveUp, History, LastResort, Move, Return, next_move
from proxy.routing.plan import Plan
from tests.support.plans import plan, step

F = FailureClass


def failure(kind: FailureClass, wait: float | None = None, param: str | None = None) -> Failure:
    return Failure(kind, str(kind), wait=wait, param=param)


def standing(until: float | None, now: float, kind: FailureClass = F.RATE_LIMITED) -> Standing:
    return Standing(now, None) if until is None or until <= now else Standing(until, Rest(until, kind))


class Case:
    """One request: what was tried, who rests, and what comes next."""

    def __init__(self, plan_: Plan, *, roll: float = 0.5, budget: bool = True) -> None:
        self.plan = plan_
        self.roll = roll
        self.budget = budget
        self.now = 0.0
        self.history = History()
        self.rests: dict[int, tuple[float, FailureClass]] = {}

    def fails(self, place: int, kind: FailureClass, wait: float | None = None, param: str | None = None) -> "Case":
        self.history.record(self.plan, place, failure(kind, wait, param), self.now, self.roll)
        return self

    def ended_by_deadline(self, place: int) -> "Case":
        self.history.record(self.plan, place, Failure(F.TIMEOUT, DEADLINE_EXCEEDED), self.now, self.roll)
        return self

    def rests_until(self, place: int, until: float, kind: FailureClass = F.RATE_LIMITED) -> "Case":
        self.rests[place] = (until, kind)
        return self

    def waited(self, place: int, seconds: float) -> "Case":
        self.history.waited(place, seconds)
        self.now += seconds
        return self

    def move(self) -> Move:
        standings = [
            standing(
                *(self.rests[place][0], self.now, self.rests[place][1]) if place in self.rests else (None, self.now)
            )
            for place in range(len(self.plan.steps))
        ]
        return next_move(self.plan, self.history, standings, lambda: self.budget, self.now)


def first(place: int, at: float = 0.0, *, last: bool = False) -> Attempt:
    return Attempt(place, at, retry=False, last=last)


def again(place: int, at: float = 0.0, *, last: bool = False) -> Attempt:
    return Attempt(place, at, retry=True, last=last)


def one() -> Plan:
    return plan("a")


def two() -> Plan:
    return plan("a", "b")


CASES: dict[str, tuple[Case, Move]] = {
    "first of two": (Case(two()), first(0)),
    "the only one has until the deadline": (Case(one()), first(0, last=True)),
    "nobody": (Case(plan()), GiveUp("no_healthy_upstream")),
    # rule 1
    "deadline is over": (Case(plan("a", deadline=0)), GiveUp("deadline_exceeded")),
    "the deadline ended the last attempt": (
        Case(two()).ended_by_deadline(0),
        GiveUp("deadline_exceeded"),
    ),
    # rule 2
    "caller's fault": (Case(two()).fails(0, F.CALLER_FAULT), Return(failure(F.CALLER_FAULT))),
    "refusal": (Case(two()).fails(0, F.CONTENT_REFUSED), Return(failure(F.CONTENT_REFUSED))),
    "caller's fault on the second": (
        Case(two()).fails(0, F.TIMEOUT).fails(1, F.CALLER_FAULT),
        Return(failure(F.CALLER_FAULT)),
    ),
    # rule 3, by class
    "connect: once more, at once": (Case(two()).fails(0, F.CONNECT), again(0)),
    "connect twice: next": (Case(two()).fails(0, F.CONNECT).fails(0, F.CONNECT), first(1, last=True)),
    "reset: once more, at once": (Case(two()).fails(0, F.RESET), again(0)),
    "reset after connect: that was the once": (Case(two()).fails(0, F.CONNECT).fails(0, F.RESET), first(1, last=True)),
    "timeout: never again": (Case(two()).fails(0, F.TIMEOUT), first(1, last=True)),
    "timeout of the only one": (Case(one()).fails(0, F.TIMEOUT), GiveUp("upstream_error")),
    "overloaded: after backoff": (Case(two()).fails(0, F.OVERLOADED), again(0, 0.5)),
    "overloaded twice: twice the ceiling": (
        Case(two()).fails(0, F.OVERLOADED).waited(0, 0.5).fails(0, F.OVERLOADED),
        again(0, 1.5),
    ),
    "overloaded three times: tries are used up": (
        Case(two()).fails(0, F.OVERLOADED).fails(0, F.OVERLOADED).fails(0, F.OVERLOADED),
        first(1, last=True),
    ),
    "overloaded with a hint": (Case(two(), roll=0).fails(0, F.OVERLOADED, wait=2.0), again(0, 2.0)),
    "overloaded with a long hint: next": (Case(two()).fails(0, F.OVERLOADED, wait=20.0), first(1)),
    "rate limited, within patience": (
        Case(two()).fails(0, F.RATE_LIMITED, wait=2.0).rests_until(0, 2.0),
        again(0, 2.0),
    ),
    "rate limited, beyond patience": (Case(two()).fails(0, F.RATE_LIMITED, wait=4.0).rests_until(0, 4.0), first(1)),
    "rate limited again: patience is used up": (
        Case(two()).fails(0, F.RATE_LIMITED, wait=2.0).waited(0, 2.0).fails(0, F.RATE_LIMITED, 2.0).rests_until(0, 4.0),
        first(1, 2.0),
    ),
    "rate limited, another key is at hand": (Case(two()).fails(0, F.RATE_LIMITED, wait=60.0), again(0)),
    "quota, another key is at hand": (Case(two()).fails(0, F.QUOTA), again(0)),
    "quota, no other key": (Case(two()).fails(0, F.QUOTA).rests_until(0, 300, F.QUOTA), first(1, last=True)),
    "credential, another key is at hand": (Case(two()).fails(0, F.CREDENTIAL), again(0)),
    "credential, no other key": (
        Case(two()).fails(0, F.CREDENTIAL).rests_until(0, 300, F.CREDENTIAL),
        first(1, last=True),
    ),
    "model gone": (Case(two()).fails(0, F.MODEL_GONE).rests_until(0, 300, F.MODEL_GONE), first(1, last=True)),
    "parameter: once without it": (Case(two()).fails(0, F.PARAMETER_UNSUPPORTED, param="seed"), again(0)),
    "parameter again: it did not help": (
        Case(two()).fails(0, F.PARAMETER_UNSUPPORTED, param="seed").fails(0, F.PARAMETER_UNSUPPORTED, param="seed"),
        first(1, last=True),
    ),
    "another parameter: once without that": (
        Case(two()).fails(0, F.PARAMETER_UNSUPPORTED, param="seed").fails(0, F.PARAMETER_UNSUPPORTED, param="user"),
        again(0),
    ),
    "parameter without a name": (Case(two()).fails(0, F.PARAMETER_UNSUPPORTED), first(1, last=True)),
    "bad answer: next": (Case(two()).fails(0, F.BAD_ANSWER), first(1, last=True)),
    "unknown: next": (Case(two()).fails(0, F.UNKNOWN), first(1, last=True)),
    "context: the next window is larger": (
        Case(plan(step("a", context=8), step("b", 1, context=9))).fails(0, F.CONTEXT_TOO_LONG),
        first(1, last=True),
    ),
    "context: the next window is the same": (
        Case(plan(step("a", context=8), step("b", 1, context=8))).fails(0, F.CONTEXT_TOO_LONG),
        Return(failure(F.CONTEXT_TOO_LONG)),
    ),
    "context: the next window is not known": (
        Case(plan(step("a", context=8), step("b", 1))).fails(0, F.CONTEXT_TOO_LONG),
        first(1, last=True),
    ),
    "context: smaller ones are passed over": (
        Case(plan(step("a", context=8), step("b", 1, context=4), step("c", 2, context=16))).fails(
            0, F.CONTEXT_TOO_LONG
        ),
        first(2, last=True),
    ),
    # the budget
    "no budget: no retry": (Case(two(), budget=False).fails(0, F.OVERLOADED), first(1, last=False)),
    "no budget, nobody else": (Case(one(), budget=False).fails(0, F.OVERLOADED), GiveUp("upstream_error")),
    "failover needs no budget": (Case(two(), budget=False).fails(0, F.TIMEOUT), first(1, last=True)),
    # rules 4 and 5
    "first choice rests: the next, at once": (Case(two()).rests_until(0, 50), first(1)),
    "all rest: wait for the first to be usable": (
        Case(two()).rests_until(0, 50).rests_until(1, 20),
        first(1, 20.0),
    ),
    "a later step has failed for good: back to the one with tries left": (
        Case(two()).fails(0, F.OVERLOADED, wait=10.0).fails(1, F.TIMEOUT),
        again(0, 10.0, last=True),
    ),
    "same deployment named twice is one": (
        Case(plan("a", "a")).fails(0, F.TIMEOUT),
        GiveUp("upstream_error"),
    ),
    # rules 6 and 7
    "last resort": (Case(plan("a", last_resort="sorry")).fails(0, F.TIMEOUT), LastResort("sorry")),
    "no last resort for a caller's fault": (
        Case(plan("a", last_resort="sorry")).fails(0, F.CALLER_FAULT),
        Return(failure(F.CALLER_FAULT)),
    ),
    "no last resort beyond the deadline": (
        Case(plan("a", last_resort="sorry", deadline=0)),
        GiveUp("deadline_exceeded"),
    ),
    "all rate limited beyond the deadline": (
        Case(plan("a", "b", deadline=10)).rests_until(0, 50).rests_until(1, 40),
        GiveUp("rate_limit_exceeded", 40.0),
    ),
    "rate limited here, dead key there": (
        Case(plan("a", "b", deadline=10)).rests_until(0, 50).rests_until(1, 300, F.CREDENTIAL),
        GiveUp("rate_limit_exceeded", 50.0),
    ),
    "all keys dead": (
        Case(plan("a", "b", deadline=10)).rests_until(0, 300, F.CREDENTIAL).rests_until(1, 200, F.QUOTA),
        GiveUp("no_healthy_upstream", 200.0),
    ),
    "tried and rate limited beyond the deadline": (
        Case(plan("a", deadline=10)).fails(0, F.RATE_LIMITED, wait=30).rests_until(0, 30),
        GiveUp("rate_limit_exceeded", 30.0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case, expected = CASES[name]

    assert expected == case.move()


kinds = st.sampled_from(list(FailureClass))


@given(
    st.lists(st.tuples(st.integers(0, 2), kinds, st.none() | st.floats(0, 200)), max_size=8),
    st.lists(st.floats(0, 300), min_size=3, max_size=3),
    st.floats(0, 130),
    st.booleans(),
)
def test_whatever_happened(
    tried: Sequence[tuple[int, FailureClass, float | None]], rests: list[float], now: float, budget: bool
) -> None:
    case = Case(plan("a", "b", "c"), budget=budget)
    case.now = now
    for place, kind, wait in tried:
        case.fails(place, kind, wait)
    for place, until in enumerate(rests):
        case.rests_until(place, until)

    move = case.move()

    if isinstance(move, Attempt):
        assert now <= move.at < case.plan.deadline
        before = [failed for at, failed, _ in tried if at == move.step]
        assert move.retry == bool(before)
        if before:
            verdict = failure(before[-1]).verdict
            assert budget
            assert len(before) < 3
            assert verdict.same is not SameDeployment.NO
        if tried:
            assert failure(tried[-1][1]).verdict.next is not NextDeployment.NO
    elif isinstance(move, Return):
        assert tried


@given(st.data())
def test_every_request_comes_to_an_end(data: st.DataObject) -> None:
    """However attempts fail, the moves run out: at most `attempts` for each deployment."""
    case = Case(plan("a", "b", "c"))
    made = 0
    while isinstance(move := case.move(), Attempt):
        made += 1
        assert made <= 9
        case.history.waited(move.step, max(0.0, move.at - case.now))
        case.now = move.at
        case.fails(move.step, data.draw(kinds), param=data.draw(st.sampled_from(["seed", "user"])))
