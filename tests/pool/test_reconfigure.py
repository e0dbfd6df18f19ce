"""One configuration after another: what stays keeps its state, and permits that are out come back exactly once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.config.settings import Rules
from proxy.core.event import Happening, RestCleared
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerSettings, BreakerState
from proxy.policies.concurrency import LimitSettings
from proxy.policies.slow_start import RecoverySettings
from proxy.policies.trend import ForesightSettings
from proxy.pool.operator import Operator
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.saved import as_state
from proxy.pool.snapshot import picture
from proxy.pool.standing import Hold
from proxy.pool.succession import Change, Layout
from tests.support.steps import RANDOM_STEPS

A, B = DeploymentId("a", "m"), DeploymentId("b", "m")
RULES = Rules(BreakerSettings(consecutive=2, open_for=60.0), LimitSettings(5, 5, 5))
DOWN = Failure(FailureClass.OVERLOADED, "http_503")
DEAD = Failure(FailureClass.CREDENTIAL, "invalid_api_key")
LIMITED = Failure(FailureClass.RATE_LIMITED, "rate_limited", wait=50.0)
Keys = dict[str, Sequence[str]]


def change(
    before: Keys, after: Keys, rules: dict[DeploymentId, Sequence[Rules]], moved: str = "", **limits: int
) -> Change:
    """A change as `layout.py` makes it, of keys that are told apart by letters."""
    layout = Layout(
        {name: len(keys) for name, keys in after.items()},
        [(id_, each) for id_, several in rules.items() for each in several],
        {name: LimitSettings(limit, limit, limit) for name, limit in limits.items()},
    )
    origins = {
        name: [before[name].index(key) if key in before[name] else None for key in keys]
        for name, keys in after.items()
        if name in before and name != moved
    }
    return Change(layout, origins, lambda id_: rules.get(id_, []))


BOTH: Keys = {"a": "kl", "b": "n"}


def pool_of(keys: Keys = BOTH) -> Pool:
    return Pool({name: len(several) for name, several in keys.items()}, [(A, RULES), (B, RULES)])


def take(pool: Pool, id_: DeploymentId, now: float = 0.0, rules: Rules = RULES) -> Permit:
    permit = pool.admit(id_, rules, now)
    assert isinstance(permit, Permit)
    return permit


def fail(pool: Pool, id_: DeploymentId, failure: Failure = DOWN, times: int = 2) -> None:
    for _ in range(times):
        pool.report(take(pool, id_), failure, 0.0)


def hold(pool: Pool, id_: DeploymentId, now: float = 0.0, rules: Rules = RULES) -> Hold | None:
    return pool.standing(id_, rules, now).hold


def test_what_is_the_same_keeps_all_that_is_known() -> None:
    pool = pool_of()
    fail(pool, A)
    Operator(pool).order(B, "drain", "upgrade", None, 0.0)
    # Rules of another configuration are equal, and not the same object.
    same = replace(RULES)
    after, events = pool.reconfigure(change(BOTH, BOTH, {A: [same], B: [same]}), 0.0)

    assert [] == events
    assert (Hold.OPEN, Hold.OFF) == (hold(after, A, rules=same), hold(after, B, rules=same))
    assert after.deployment(A) is pool.deployment(A)
    assert after.deployment(A).guards[0].rules is same
    # Requests that began before see the same.
    assert Hold.OPEN is hold(pool, A)
    assert 1 == len(after.deployment(A).guards)


def test_what_is_gone_is_known_to_those_only_who_began_before() -> None:
    pool = pool_of()
    permit = take(pool, B)
    after, _ = pool.reconfigure(change(BOTH, {"a": "kl"}, {A: [RULES]}), 0.0)

    assert after.find(B) is None
    with pytest.raises(KeyError):
        after.upstream("b")
    # The one under way comes back, and may even begin another attempt.
    pool.report(permit, DOWN, 1.0)
    pool.report(take(pool, B, 1.0), SUCCEEDED, 1.0)
    assert 0 == pool.deployment(B).in_flight == pool.upstream("b").in_flight


def test_places_are_counted_together() -> None:
    limited = Rules(limit=LimitSettings(1, 1, 1))
    pool = Pool({"a": 1}, [(A, limited)], {"a": LimitSettings(5, 5, 5)})
    permit = take(pool, A, rules=limited)
    rules = {A: [replace(limited)]}
    after, _ = pool.reconfigure(change({"a": "k"}, {"a": "kl"}, rules, a=1), 0.0)

    assert Hold.FULL is hold(after, A, rules=limited)
    assert 1 == after.upstream("a").in_flight
    pool.report(permit, SUCCEEDED, 1.0)
    assert 0 == after.upstream("a").in_flight
    assert hold(after, A, rules=limited) is None


def test_a_rest_follows_its_key_and_ends_with_it() -> None:
    pool = pool_of()
    fail(pool, A, DEAD, 1)  # key k, everywhere
    fail(pool, A, LIMITED, 1)  # key l, here
    assert Hold.RESTS is hold(pool, A)
    after, events = pool.reconfigure(change(BOTH, {"a": "lx", "b": "n"}, {A: [RULES], B: [RULES]}), 1.0)

    assert [RestCleared(A, 0, True, "reload")] == events
    permit = take(after, A, 1.0)
    assert (1, 1) == (permit.key, picture(after, A, 1.0).keys_resting)
    after.report(permit, LIMITED, 1.0)
    # Both rest now, each by its own reason.
    assert Hold.RESTS is hold(after, A, 1.0)
    state = as_state(after, {"a": ["mark of l", "mark of x"], "b": ["n"]}, 1.0, [after.deployment(A)])
    assert {"mark of l", "mark of x"} == set(state["deployment a/m"]["key_rests"])  # type: ignore[call-overload]


def test_who_began_before_goes_on_with_the_keys_of_before() -> None:
    pool = pool_of()
    permits = [take(pool, A), take(pool, A)]
    after, _ = pool.reconfigure(change(BOTH, {"a": "l", "b": "n"}, {A: [RULES], B: [RULES]}), 0.0)

    assert [0, 1] == [permit.key for permit in permits]
    pool.report(permits[0], DEAD, 1.0)
    # What became of a key that is gone keeps nobody away from the others.
    assert hold(after, A, 1.0) is None
    pool.report(permits[1], LIMITED, 1.0)
    assert Hold.RESTS is hold(after, A, 1.0)
    assert 0 == take(after, A, 60.0).key


@pytest.mark.parametrize("after", [("x",), ("", "")])
def test_the_first_key_of_an_upstream(after: Sequence[str]) -> None:
    pool = Pool({"a": 0}, [(A, RULES)])
    fail(pool, A, DEAD, 1)
    assert Hold.RESTS is hold(pool, A)
    following, _ = pool.reconfigure(change({"a": ("",)}, {"a": after}, {A: [RULES]}), 0.0)

    # The same lack of a key rests on; a key is another matter.
    assert (None if after == ("x",) else Hold.RESTS) is hold(following, A)


def test_another_server_under_the_name_is_a_new_one_but_for_orders() -> None:
    pool = pool_of()
    fail(pool, A)
    Operator(pool).order(B, "disable", None, None, 0.0)
    keys: Keys = {"a": "kl", "b": "n"}
    after, _ = pool.reconfigure(change(BOTH, keys, {A: [RULES], B: [RULES]}, moved="a"), 0.0)
    assert hold(after, A) is None
    assert 0 == after.deployment(A).failed
    again, _ = after.reconfigure(change(BOTH, keys, {A: [RULES], B: [RULES]}, moved="b"), 0.0)

    assert Hold.OFF is hold(again, B)


def test_a_breaker_that_an_operator_opened_stays_so_at_another_address() -> None:
    pool = pool_of()
    Operator(pool).open(A, None, None, 0.0)
    after, _ = pool.reconfigure(change(BOTH, BOTH, {A: [RULES], B: [RULES]}, moved="a"), 0.0)

    assert Hold.OPEN is hold(after, A, 1e9)


def test_changed_rules_forget_no_opening() -> None:
    pool = pool_of()
    fail(pool, A)
    patient = replace(RULES, breaker=BreakerSettings(consecutive=7, open_for=30.0))
    after, events = pool.reconfigure(change(BOTH, BOTH, {A: [patient], B: [RULES]}), 20.0)

    assert [] == events
    (guard,) = after.deployment(A).guards
    assert (patient, patient.breaker) == (guard.rules, guard.breaker.settings)
    assert Hold.OPEN is hold(after, A, 59.0, patient)
    assert hold(after, A, 60.0, patient) is None
    # Those who began before go by the new guard, and make none of their own.
    assert Hold.OPEN is hold(pool, A, 59.0)
    assert 1 == len(after.deployment(A).guards)


def test_parts_whose_rules_are_the_same_stay() -> None:
    pool = pool_of()
    permit = take(pool, A)
    fail(pool, A, times=1)
    wider = replace(RULES, limit=LimitSettings(9, 9, 9))
    after, _ = pool.reconfigure(change(BOTH, BOTH, {A: [wider], B: [RULES]}), 0.0)

    # Another limit is no reason to lose count of failures, nor of the attempt that is under way.
    pool.report(permit, DOWN, 0.0)
    assert Hold.OPEN is hold(after, A, rules=wider)
    assert 9 == after.deployment(A).guards[0].limit.limit


def test_a_late_report_means_nothing_to_a_new_breaker() -> None:
    pool = pool_of()
    fail(pool, A)
    probe = take(pool, A, 61.0)
    other = replace(RULES, breaker=BreakerSettings(consecutive=2, open_for=60.0, probes=1, close_after=1))
    after, _ = pool.reconfigure(change(BOTH, BOTH, {A: [other], B: [RULES]}), 61.0)
    guard = after.deployment(A).guards[0]
    assert BreakerState.OPEN is guard.breaker.state
    probing = take(after, A, 62.0, other)
    pool.report(probe, DOWN, 62.0)
    assert (BreakerState.HALF_OPEN, Hold.PROBING) == (guard.breaker.state, hold(after, A, 62.0, other))
    after.report(probing, SUCCEEDED, 62.0)
    assert BreakerState.CLOSED is guard.breaker.state


def test_sets_of_rules_come_and_go() -> None:
    pool = pool_of()
    fail(pool, A)
    second = replace(RULES, limit=LimitSettings(3, 3, 3))
    both, _ = pool.reconfigure(change(BOTH, BOTH, {A: [RULES, second], B: [RULES]}), 0.0)

    assert [RULES, second] == [guard.rules for guard in both.deployment(A).guards]
    assert Hold.OPEN is hold(both, A, rules=second)
    one, _ = both.reconfigure(change(BOTH, BOTH, {A: [second], B: [RULES]}), 0.0)
    assert [second] == [guard.rules for guard in one.deployment(A).guards]
    assert Hold.OPEN is hold(both, A)
    back, _ = one.reconfigure(change(BOTH, BOTH, {A: [RULES], B: [RULES]}), 0.0)
    assert [RULES] == [guard.rules for guard in back.deployment(A).guards]


def test_a_hundred_changes_leave_nothing_behind() -> None:
    pool = pool_of()
    for number in range(100):
        rules = replace(RULES, breaker=BreakerSettings(open_for=60.0 + number))
        pool, _ = pool.reconfigure(change(BOTH, BOTH, {A: [rules], B: [RULES]}), 0.0)

    assert 1 == len(pool.deployment(A).guards)
    assert 8 >= len(pool.deployment(A).former)


def test_what_traffic_has_made_stays_while_a_glob_serves_it() -> None:
    pool = pool_of()
    made = DeploymentId("a", "made-up")
    fail(pool, made)
    rules: dict[DeploymentId, Sequence[Rules]] = {A: [RULES], B: [RULES]}
    kept, _ = pool.reconfigure(change(BOTH, BOTH, rules | {made: [RULES]}), 0.0)
    assert Hold.OPEN is hold(kept, made)
    gone, _ = kept.reconfigure(change(BOTH, BOTH, rules), 0.0)
    assert gone.find(made) is None


OTHERS = [
    RULES,
    replace(RULES, breaker=BreakerSettings(consecutive=1, open_for=5.0, probes=1, close_after=1)),
    replace(RULES, limit=LimitSettings(2, 1, 4)),
    replace(RULES, recovery=RecoverySettings(ramp=0, stable=0)),
    replace(RULES, foresight=ForesightSettings(trend=False)),
]


class Reloads(RuleBasedStateMachine):
    """Attempts, time and changes of the configuration, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.keys: Keys = BOTH
        self.rules: dict[DeploymentId, Sequence[Rules]] = {A: [RULES], B: [RULES]}
        self.pools = [(pool_of(), self.rules)]
        """The last few, each with the rules of its requests; the last is in force."""
        self.held: list[tuple[Pool, Permit]] = []
        self.told: list[Happening] = []

    @rule(back=st.integers(0, 3), id_=st.sampled_from([A, B]), early=st.booleans(), probe=st.booleans())
    def admit(self, back: int, id_: DeploymentId, early: bool, probe: bool) -> None:
        pool, rules = self.pools[max(0, len(self.pools) - 1 - back)]
        if id_ not in rules:
            return
        if probe:
            admitted = pool.admit_probe(id_, self.now, early=early)
        else:
            found = pool.admit(id_, rules[id_][-1], self.now, early=early)
            admitted = found if isinstance(found, Permit) else None
        if admitted is not None:
            assert 0 <= admitted.key < len(pool.upstream(id_.upstream).slots)
            self.held.append((pool, admitted))

    @rule(data=st.data(), kind=st.sampled_from(["ok", "ok", IGNORED, *FailureClass]), roll=st.floats(0, 1))
    def report(self, data: st.DataObject, kind: str, roll: float) -> None:
        if not self.held:
            return
        pool, permit = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        outcome: Outcome = SUCCEEDED if kind == "ok" else IGNORED
        if isinstance(kind, FailureClass):
            outcome = Failure(kind, "x", param="seed")
        self.told += pool.report(permit, outcome, self.now, roll)
        with pytest.raises(RuntimeError):
            pool.report(permit, outcome, self.now, roll)

    @rule(data=st.data())
    def hear_content(self, data: st.DataObject) -> None:
        if self.held:
            pool, permit = self.held[data.draw(st.integers(0, len(self.held) - 1))]
            if permit.good_at is None:
                permit.good_at = self.now
                pool.first_content(permit, self.now)

    @rule(seconds=st.sampled_from([0.01, 3.0, 8.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        keys=st.sampled_from(["kl", "lk", "k", "lx", "xy", "kk"]),
        with_b=st.booleans(),
        rules=st.lists(st.sampled_from(OTHERS), min_size=1, max_size=3),
        moved=st.sampled_from(["", "", "", "a", "b"]),
        limit=st.none() | st.integers(1, 3),
    )
    def reload(self, keys: str, with_b: bool, rules: list[Rules], moved: str, limit: int | None) -> None:
        after: Keys = {"a": keys, **({"b": "n"} if with_b else {})}
        wanted: dict[DeploymentId, Sequence[Rules]] = {A: [replace(each) for each in rules]}
        if with_b:
            wanted[B] = [RULES]
        pool, known = self.pools[-1][0], self.keys
        limits = {} if limit is None else {"a": limit}
        following, events = pool.reconfigure(change(known, after, wanted, moved, **limits), self.now)
        self.told += events
        self.keys, self.rules = after, wanted
        self.pools = [*self.pools[-3:], (following, wanted)]
        assert {guard.rules for guard in following.deployment(A).guards} == set(rules)

    @invariant()
    def permits_add_up(self) -> None:
        for pool, _ in self.pools:
            for deployment in pool.deployments():
                mine = [permit for _, permit in self.held if permit.deployment is deployment]
                assert len(mine) == deployment.in_flight
                load = pool.upstream(deployment.id.upstream).load
                assert sum(permit.upstream.load is load for _, permit in self.held) == load.in_flight

    @invariant()
    def counts_are_sane(self) -> None:
        pool, rules = self.pools[-1]
        for id_, several in rules.items():
            assert len(pool.deployment(id_).guards) == len(set(several))
            for each in several:
                assert 0 <= pool.standing(id_, each, self.now).share <= 1
            for guard in pool.deployment(id_).guards:
                ticket = (guard, guard.breaker.period)
                probing = [permit for _, permit in self.held if ticket in permit.tickets and not permit.proven]
                if guard.breaker.state is BreakerState.HALF_OPEN:
                    assert guard.breaker.probing == len(probing)
                assert guard.rules.limit.min <= guard.limit.limit <= guard.rules.limit.max
            shown = picture(pool, id_, self.now)
            assert 0 <= shown.keys_resting <= len(pool.upstream(id_.upstream).slots)


Reloads.TestCase.settings = RANDOM_STEPS
TestReloads = Reloads.TestCase
