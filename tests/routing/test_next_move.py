"""The table of cases: what has happened, and what is done next."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.config.settings import LastResortSettings
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, NextDeployment, SameDeployment
from proxy.pool.rest import Rest
from proxy.pool.standing import Hold, Standing
from proxy.routing.next_move import Attempt, GiveUp, History, LastResort, Move, Queue, Return, next_move
from proxy.routing.plan import Plan
from tests.support.plans import plan, step

F = FailureClass


def failure(kind: FailureClass, wait: float | None = None, param: str | None = None) -> Failure:
    return Failure(kind, str(kind), wait=wait, param=param)


def standing(until: float | None, now: float, kind: FailureClass = F.RATE_LIMITED) -> Standing:
    return Standing(now) if until is None or until <= now else Standing(until, Hold.RESTS, Rest(until, kind))


class Case:
    """One request: what was tried, who rests, and what comes next."""

    def __init__(
        self,
        plan_: Plan,
        *,
        roll: float = 0.5,
        budget: bool = True,
        room: bool = True,
        kept: bool = False,
        luck: float = 0.0,
    ) -> None:
        self.plan = plan_
        self.roll = roll
        self.budget = budget
        self.room = room
        self.kept = kept
        self.now = 0.0
        self.history = History(luck=luck)
        self.rests: dict[int, tuple[float, FailureClass]] = {}
        self.held: dict[int, Standing] = {}

    def pays(self, step: int) -> bool:
        return self.budget

    def may_queue(self) -> bool:
        return self.room

    def has_kept(self) -> bool:
        return self.kept

    def fails(self, place: int, kind: FailureClass, wait: float | None = None, param: str | None = None) -> "Case":
        self.history.record(self.plan, place, failure(kind, wait, param), self.now, self.roll)
        return self

    def ended_by_deadline(self, place: int) -> "Case":
        self.history.record(self.plan, place, Failure(F.TIMEOUT, DEADLINE_EXCEEDED), self.now, self.roll)
        return self

    def rests_until(self, place: int, until: float, kind: FailureClass = F.RATE_LIMITED) -> "Case":
        self.rests[place] = (until, kind)
        return self

    def open_until(self, place: int, until: float, *, forced: bool = False) -> "Case":
        self.held[place] = Standing(until, Hold.OPEN, early_at=math.inf if forced else -math.inf)
        return self

    def doubtful(self, place: int) -> "Case":
        self.held[place] = Standing(self.now, doubtful=True)
        return self

    def panicked(self) -> "Case":
        self.history.panicked = True
        return self

    def held_by(self, place: int, hold: Hold) -> "Case":
        self.held[place] = Standing(self.now if hold is Hold.FULL else math.inf, hold)
        return self

    def has_share(self, place: int, share: float) -> "Case":
        self.held[place] = Standing(self.now, share=share)
        return self

    def waited(self, place: int, seconds: float) -> "Case":
        self.history.waited(place, seconds)
        self.now += seconds
        return self

    def move(self) -> Move:
        standings = [
            self.held[place]
            if place in self.held
            else standing(
                *(self.rests[place][0], self.now, self.rests[place][1]) if place in self.rests else (None, self.now)
            )
            for place in range(len(self.plan.steps))
        ]
        return next_move(self.plan, self.history, standings, self, self.now)


def first(place: int, at: float = 0.0, *, last: bool = False) -> Attempt:
    return Attempt(place, at, retry=False, last=last)


def again(place: int, at: float = 0.0, *, last: bool = False) -> Attempt:
    return Attempt(place, at, retry=True, last=last)


def panic(place: int, at: float = 0.0) -> Attempt:
    return Attempt(place, at, retry=True, last=False, panic=True)


def calm(*names: str, **others: Any) -> Plan:
    return plan(*names, panic=None, **others)


def one() -> Plan:
    return plan("a")


def two() -> Plan:
    return plan("a", "b")


def kept_only() -> Plan:
    return replace(plan("a"), last_resort=LastResortSettings(None, 3600.0))


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
    "a way of going on: another way, and no try": (
        Case(plan("a", attempts=1), budget=False).fails(0, F.PARAMETER_UNSUPPORTED, param="prefill"),
        first(0, last=True),
    ),
    "no way of going on is left": (
        Case(two())
        .fails(0, F.PARAMETER_UNSUPPORTED, param="restart")
        .fails(0, F.PARAMETER_UNSUPPORTED, param="restart"),
        first(1, last=True),
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
    # open breakers are passed over, and not waited for
    "first choice is open: the next": (Case(two()).open_until(0, 5), first(1, last=True)),
    "first choice is half-open, its probes are under way": (Case(two()).held_by(0, Hold.PROBING), first(1, last=True)),
    "first choice is switched off": (Case(two()).held_by(0, Hold.OFF), first(1, last=True)),
    "its breaker opened by this very failure: no retry": (
        Case(two()).fails(0, F.OVERLOADED).open_until(0, 60),
        first(1, last=True),
    ),
    "all open: exact time to come back": (
        Case(calm("a", "b")).open_until(0, 40).open_until(1, 30),
        GiveUp("no_healthy_upstream", 30.0),
    ),
    "one open, one probing: soon": (
        Case(calm("a", "b")).open_until(0, 40).held_by(1, Hold.PROBING),
        GiveUp("no_healthy_upstream", 1.0),
    ),
    "all switched off: nobody knows": (
        Case(calm("a")).held_by(0, Hold.OFF),
        GiveUp("no_healthy_upstream"),
    ),
    "tried, and open by now: they are all out": (
        Case(calm("a", "b")).fails(0, F.TIMEOUT).fails(1, F.TIMEOUT).open_until(0, 60).open_until(1, 50),
        GiveUp("no_healthy_upstream", 50.0),
    ),
    "tried, and still closed: it was an error": (
        Case(calm("a", "b")).fails(0, F.TIMEOUT).open_until(1, 50),
        GiveUp("upstream_error"),
    ),
    # panic
    "all open: the one whose time comes first": (Case(two()).open_until(0, 40).open_until(1, 30), panic(1)),
    "half of them open and the others have failed": (
        Case(two()).open_until(0, 40).fails(1, F.TIMEOUT),
        panic(0),
    ),
    "too few of them out for a panic": (
        Case(plan("a", "b", "c")).open_until(0, 40).fails(1, F.TIMEOUT).fails(2, F.TIMEOUT),
        GiveUp("upstream_error"),
    ),
    "as long as one can be used there is no panic": (Case(two()).open_until(0, 40), first(1, last=True)),
    "a panic is not tried twice": (
        Case(one()).fails(0, F.TIMEOUT).open_until(0, 60),
        GiveUp("no_healthy_upstream", 60.0),
    ),
    "a panic without budget": (
        Case(one(), budget=False).open_until(0, 60),
        GiveUp("no_healthy_upstream", 60.0),
    ),
    "no panic where an operator has opened it": (
        Case(one()).open_until(0, 60, forced=True),
        GiveUp("no_healthy_upstream", 60.0),
    ),
    "a panic comes before the last resort": (Case(plan("a", last_resort="sorry")).open_until(0, 60), panic(0)),
    # places
    "first choice is full: the next, at once": (Case(two()).held_by(0, Hold.FULL), first(1)),
    "all full: wait for a place at any": (
        Case(two()).held_by(0, Hold.FULL).held_by(1, Hold.FULL),
        Queue((0, 1), 119.0),
    ),
    "one full, one rests: wait for whichever comes first": (
        Case(two()).held_by(0, Hold.FULL).rests_until(1, 20),
        Queue((0,), 20.0),
    ),
    "one full, one open: whoever waits looks again when its time is over": (
        Case(two()).held_by(0, Hold.FULL).open_until(1, 30),
        Queue((0,), 30.0, last=True),
    ),
    "the last tenth of the time is for the attempt, not for the queue": (
        Case(replace(plan("a", deadline=4.0), patience=4.0)).held_by(0, Hold.FULL),
        Queue((0,), 3.6, last=True),
    ),
    "too late to wait": (Case(plan("a", deadline=0.5)).held_by(0, Hold.FULL), GiveUp("overloaded", 1.0)),
    "a retry at a full one is paid for, and waits its time": (
        Case(two(), budget=False).fails(0, F.OVERLOADED).held_by(0, Hold.FULL).held_by(1, Hold.OFF),
        GiveUp("overloaded", 1.0),
    ),
    "tried here, and half-open by now: others find out": (
        Case(calm("a", "b")).fails(0, F.OVERLOADED).doubtful(0).open_until(1, 30),
        GiveUp("no_healthy_upstream", 1.0),
    ),
    "one panic for each request": (
        Case(plan("a", "b")).panicked().open_until(0, 40).open_until(1, 30),
        GiveUp("no_healthy_upstream", 30.0),
    ),
    "all full and no room to wait": (Case(two(), room=False).held_by(0, Hold.FULL), first(1)),
    "nobody free and no room to wait": (
        Case(one(), room=False).held_by(0, Hold.FULL),
        GiveUp("overloaded", 1.0),
    ),
    "full, with no tries left": (
        Case(one()).fails(0, F.TIMEOUT).held_by(0, Hold.FULL),
        GiveUp("overloaded", 1.0),
    ),
    # shares of traffic
    "not among the share of the first: the next": (Case(two(), luck=0.5).has_share(0, 0.4), first(1)),
    "among its share": (Case(two(), luck=0.3).has_share(0, 0.4), first(0)),
    "nobody else: it is used after all": (Case(one(), luck=0.9).has_share(0, 0.1), first(0, last=True)),
    "an ejected one comes last": (Case(two()).has_share(0, 0.0), first(1)),
    "an ejected one is better than none": (Case(two()).has_share(0, 0.0).open_until(1, 50), first(0, last=True)),
    "a weighted draw has seen to shares already": (
        Case(plan("a", "b", strategy="weighted"), luck=0.9).has_share(0, 0.4),
        first(0),
    ),
    "but not to ejections that came since": (
        Case(plan("a", "b", strategy="weighted")).has_share(0, 0.0),
        first(1),
    ),
    # the last resort, and giving up
    "a kept answer": (Case(kept_only(), kept=True).fails(0, F.TIMEOUT), LastResort()),
    "no kept answer": (Case(kept_only()).fails(0, F.TIMEOUT), GiveUp("upstream_error")),
    "last resort": (Case(plan("a", last_resort="sorry")).fails(0, F.TIMEOUT), LastResort()),
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


@pytest.mark.parametrize(
    ("known", "told", "goes_on"),
    [(None, 8000, True), (None, 16_000, False), (8000, 16_000, False), (32_000, 8000, True), (None, None, True)],
)
def test_a_window_that_a_refusal_names_counts_above_what_was_known(
    known: int | None, told: int | None, goes_on: bool
) -> None:
    case = Case(plan(step("a", context=known), step("b", 1, context=16_000)))
    refused = Failure(F.CONTEXT_TOO_LONG, "http_400", window=told)
    case.history.record(case.plan, 0, refused, case.now, case.roll)

    assert (first(1, last=True) if goes_on else Return(refused)) == case.move()
