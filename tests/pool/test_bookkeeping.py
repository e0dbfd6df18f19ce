"""Whatever happens, in whatever order: permits add up, nothing is stuck, no count runs away, no state is lost."""

import json
import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.config.settings import RetrySettings, RouteSettings, Rules, StepSettings, Timeouts
from proxy.core.event import Happening
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerSettings, BreakerState
from proxy.policies.concurrency import LimitSettings
from proxy.policies.outlier import OutlierSettings
from proxy.policies.slow_start import RecoverySettings
from proxy.policies.trend import ForesightSettings
from proxy.pool.operator import Operator
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.saved import as_state, restore
from proxy.pool.snapshot import as_document, capacity, picture, pull
from proxy.pool.standing import Hold
from proxy.pool.upkeep import tick
from tests.support.steps import RANDOM_STEPS

IDS = [DeploymentId("a", "big"), DeploymentId("a", "small"), DeploymentId("b", "big")]
FIRST = Rules(
    BreakerSettings(consecutive=2, minimum_requests=4, window=60, open_for=5, max_open_for=40, probes=2, close_after=2),
    LimitSettings(3, 3, 3),
    RecoverySettings(ramp=10, stable=10),
    ForesightSettings(adaptive=True),
)
SECOND = Rules(
    BreakerSettings(consecutive=4, minimum_requests=2, open_for=1, max_open_for=5, probes=1, close_after=1),
    LimitSettings(4, 1, 8),
    RecoverySettings(ramp=0, stable=0),
)
MARKS = {"a": ["key one", "key two"], "b": ["none"]}
LONGEST_OPEN = 40 * 1.1
LONGEST_REST = 86_400.0
DURATIONS = st.none() | st.sampled_from([1.0, 30.0])

ids = st.sampled_from(IDS)
rules = st.sampled_from([FIRST, SECOND])


def _route() -> RouteSettings:
    steps = tuple(
        StepSettings(id_.upstream, id_.model, Timeouts(), RetrySettings(), rules=set_of_rules)
        for id_ in IDS
        for set_of_rules in (FIRST, SECOND)
    )
    return RouteSettings("r", steps, 60.0, outlier=OutlierSettings(minimum_requests=3, eject_for=5.0))


class Bookkeeping(RuleBasedStateMachine):
    """Two sets of rules over three deployments, with everything that may be done to them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.route = _route()
        self.pool = self.new_pool()
        self.held: list[Permit] = []
        self.told: list[Happening] = []

    def new_pool(self) -> Pool:
        named = [(id_, set_of_rules) for id_ in IDS for set_of_rules in (FIRST, SECOND)]
        return Pool({"a": 2, "b": 1}, named, {"a": LimitSettings(5, 5, 5)})

    @rule(id_=ids, set_of_rules=rules, early=st.booleans())
    def admit(self, id_: DeploymentId, set_of_rules: Rules, early: bool) -> None:
        standing = self.pool.standing(id_, set_of_rules, self.now)
        admitted = self.pool.admit(id_, set_of_rules, self.now, early=early)
        if isinstance(admitted, Permit):
            assert standing.hold is None or (early and standing.hold is Hold.OPEN and standing.early_at <= self.now)
            self.held.append(admitted)
            self.told += admitted.events
        else:
            assert standing == admitted
            assert standing.hold is not None

    @rule(id_=ids, early=st.booleans())
    def probe(self, id_: DeploymentId, early: bool) -> None:
        permit = self.pool.admit_probe(id_, self.now, early=early)
        if permit is not None:
            self.held.append(permit)
            self.told += permit.events

    @rule(
        data=st.data(),
        kind=st.sampled_from(["ok", "ok", "ok", IGNORED, "deadline", *FailureClass]),
        wait=st.none() | st.floats(0, 1e6),
        roll=st.floats(0, 1),
    )
    def report(self, data: st.DataObject, kind: str, wait: float | None, roll: float) -> None:
        if not self.held:
            return
        permit = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        permit.stream = data.draw(st.booleans())
        outcome: Outcome = SUCCEEDED if kind == "ok" else IGNORED
        if kind == "deadline":
            outcome = Failure(FailureClass.TIMEOUT, DEADLINE_EXCEEDED)
        elif isinstance(kind, FailureClass):
            outcome = Failure(kind, "x", wait=wait, param="seed")
        self.told += self.pool.report(permit, outcome, self.now, roll)

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 8.0, 60.0, 1000.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def go_round(self) -> None:
        self.told += tick(self.pool, [self.route], self.now, int(self.now / 3600) % 24)

    @rule(id_=ids, what=st.sampled_from(["open", "close", "drain", "disable", "enable", "reset"]), duration=DURATIONS)
    def order(self, id_: DeploymentId, what: str, duration: float | None) -> None:
        operator = Operator(self.pool)
        if what == "open":
            operator.open(id_, None, duration or 1.0, self.now)
        elif what == "close":
            operator.close(id_, None, duration, self.now)
        elif what == "enable":
            operator.enable(id_, None)
        elif what == "reset":
            operator.reset([id_], None, self.now)
        elif what == "drain" or what == "disable":  # noqa: PLR1714 - so that the type is known
            operator.order(id_, what, None, duration, self.now)

    @rule(data=st.data())
    def hear_content(self, data: st.DataObject) -> None:
        if self.held:
            permit = self.held[data.draw(st.integers(0, len(self.held) - 1))]
            if permit.good_at is None:
                permit.good_at = self.now
                self.told += self.pool.first_content(permit, self.now)

    @rule(permit_share=st.floats(0, 1), wait=st.none() | st.floats(0.1, 60))
    def hear_of_headroom(self, permit_share: float, wait: float | None) -> None:
        if self.held:
            self.told += self.pool.note_headroom(self.held[0], permit_share, wait, self.now)

    @rule(elapsed=st.sampled_from([0.0, 2.0, 500.0]), jump=st.sampled_from([-1e6, 0.0, 1e6]))
    def restart(self, elapsed: float, jump: float) -> None:
        """A new process: whoever was under way is gone, and its clock has nothing to do with the old one's."""
        state = {
            name: (json.loads(json.dumps(part)), elapsed)
            for name, part in as_state(self.pool, MARKS, self.now, self.pool.deployments()).items()
        }
        before = {(id_, each): self.pool.standing(id_, each, self.now) for id_ in IDS for each in (FIRST, SECOND)}
        old, self.held = self.now, []
        self.now = max(0.0, self.now + elapsed + jump)
        self.pool = self.new_pool()
        restore(self.pool, state, MARKS, lambda _: [FIRST, SECOND], self.now)
        for (id_, each), was in before.items():
            now = self.pool.standing(id_, each, self.now)
            if was.hold in {Hold.OPEN, Hold.RESTS, Hold.OFF} and was.usable_at - old > elapsed + 1e-3:
                assert was.hold is now.hold
                assert math.isclose(was.usable_at - old - elapsed, now.usable_at - self.now, abs_tol=1e-2)
            if was.hold is None:
                # Nothing that was free is held now, but for what another set of rules knew of the same deployment.
                assert now.hold is None or now.hold is not Hold.OFF

    @invariant()
    def permits_add_up(self) -> None:
        for id_ in IDS:
            mine = [permit for permit in self.held if permit.deployment.id == id_]
            assert len(mine) == self.pool.deployment(id_).in_flight
        for name in ("a", "b"):
            mine = [permit for permit in self.held if permit.deployment.id.upstream == name]
            assert len(mine) == self.pool.upstream(name).in_flight

    @invariant()
    def every_hold_ends(self) -> None:
        for id_ in IDS:
            deployment = self.pool.deployment(id_)
            for set_of_rules in (FIRST, SECOND):
                standing = self.pool.standing(id_, set_of_rules, self.now)
                assert 0 <= standing.share <= 1
                if standing.hold is Hold.OPEN:
                    assert standing.usable_at <= self.now + LONGEST_OPEN
                elif standing.hold is Hold.RESTS:
                    assert standing.usable_at <= self.now + LONGEST_REST
                elif standing.hold in {Hold.FULL, Hold.PROBING}:
                    assert deployment.in_flight or self.pool.upstream(id_.upstream).in_flight
                elif standing.hold is None:
                    assert standing.usable_at <= self.now

    @invariant()
    def counts_are_sane(self) -> None:
        for deployment in self.pool.deployments():
            assert 0 <= deployment.consecutive_failures <= deployment.failed
            assert 0 <= deployment.recent.successes <= deployment.recent.count <= 100
            for guard in deployment.guards:
                ticket = (guard, guard.breaker.period)
                probing = [permit for permit in self.held if ticket in permit.tickets and not permit.proven]
                if guard.breaker.state is BreakerState.HALF_OPEN:
                    assert guard.breaker.probing == len(probing) <= guard.rules.breaker.probes
                settings_ = guard.rules.limit
                assert settings_.min <= guard.limit.limit <= settings_.max
                assert 0 < guard.breaker.error_rate <= 1

    @invariant()
    def it_can_be_shown(self) -> None:
        for id_ in IDS:
            json.dumps(as_document(picture(self.pool, id_, self.now)), allow_nan=False)
            assert 0 <= capacity(self.pool, id_, FIRST, self.now) <= 1
            assert pull(self.pool, id_, FIRST, 2.0, self.now) >= 0


Bookkeeping.TestCase.settings = RANDOM_STEPS
TestBookkeeping = Bookkeeping.TestCase
