"""What is still known after a restart, and that garbage is left out."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import Rules
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.operator import Operator
from proxy.pool.permit import SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.rest import Rest
from proxy.pool.saved import as_state, restore
from proxy.pool.snapshot import picture
from proxy.pool.standing import Hold
from tests.support.plans import guarded

ID = DeploymentId("up", "m/with:odd name")
RULES = guarded(consecutive=2, open_for=60.0, ramp=20.0, close_after=1)
MARKS = {"up": ["first", "second"]}
DOWN = Failure(FailureClass.OVERLOADED, "http_503")


def new(rules: Rules = RULES) -> Pool:
    return Pool({"up": 2}, [(ID, rules)])


def attempt(pool: Pool, outcome: Outcome, now: float, rules: Rules = RULES) -> None:
    permit = pool.admit(ID, rules, now)
    assert isinstance(permit, Permit)
    pool.report(permit, outcome, now)


def restarted(pool: Pool, now: float, elapsed: float = 0.0, rules: Rules = RULES, marks: object = None) -> Pool:
    """The pool of the next process, whose clock begins at 0, after `elapsed` seconds."""
    state = {
        name: (json.loads(json.dumps(part)), elapsed)
        for name, part in as_state(pool, MARKS, now, pool.deployments()).items()
    }
    made = new(rules)
    restore(made, state, marks or MARKS, lambda _: [rules], 0.0)  # type: ignore[arg-type]
    return made


def test_an_open_breaker_is_still_open_for_what_was_left() -> None:
    pool = new()
    attempt(pool, DOWN, 100.0)
    attempt(pool, DOWN, 100.0)

    standing = restarted(pool, 110.0, elapsed=5.0).standing(ID, RULES, 0.0)
    assert (45.0, Hold.OPEN) == standing[:2]


def test_the_way_back_goes_on() -> None:
    pool = new()
    attempt(pool, DOWN, 0.0)
    attempt(pool, DOWN, 0.0)
    attempt(pool, SUCCEEDED, 60.0)
    assert 0.5 == pool.standing(ID, RULES, 70.0).share

    assert pytest.approx(0.5) == restarted(pool, 70.0).standing(ID, RULES, 0.0).share


def test_rests_keep_what_is_left_of_their_time() -> None:
    pool = new()
    attempt(pool, Failure(FailureClass.MODEL_GONE, "http_404"), 10.0)

    assert Rest(280.0, FailureClass.MODEL_GONE) == restarted(pool, 20.0, 10.0).standing(ID, RULES, 0.0).rest
    assert restarted(pool, 20.0, 300.0).standing(ID, RULES, 0.0).rest is None


def test_a_rest_follows_its_key_and_goes_with_it() -> None:
    pool = new()
    attempt(pool, Failure(FailureClass.CREDENTIAL, "http_401"), 0.0)
    swapped = restarted(pool, 0.0, marks={"up": ["second", "first"]})
    removed = restarted(pool, 0.0, marks={"up": ["second", "third"]})

    assert [1] == list(swapped.upstream("up").key_rests)
    assert {} == removed.upstream("up").key_rests


def test_what_an_operator_has_ordered_still_holds() -> None:
    pool = new()
    Operator(pool).order(ID, "drain", "upgrade", 60.0, 0.0)
    Operator(pool).weigh(ID, 3.0, None, None, 0.0)
    made = restarted(pool, 10.0)

    assert ("drain", 50.0, 3.0) == (
        (seen := picture(made, ID, 0.0)).order,
        seen.order_remaining_s,
        seen.weight,
    )


def test_opened_by_hand_without_end_it_stays_open() -> None:
    pool = new()
    Operator(pool).open(ID, None, None, 0.0)

    standing = restarted(pool, 10.0, elapsed=1e6).standing(ID, RULES, 0.0)
    assert (math.inf, math.inf) == (standing.usable_at, standing.early_at)


def test_other_rules_take_up_the_state_of_the_old_ones() -> None:
    pool, others = new(), guarded(consecutive=7, open_for=60.0)
    attempt(pool, DOWN, 0.0)
    attempt(pool, DOWN, 0.0)

    assert Hold.OPEN is restarted(pool, 1.0, rules=others).standing(ID, others, 0.0).hold


def test_counts_are_kept() -> None:
    pool = new()
    attempt(pool, SUCCEEDED, 1.0)
    attempt(pool, DOWN, 2.0)
    seen = picture(restarted(pool, 5.0, elapsed=10.0), ID, 0.0)

    assert (1, 1, 1, "http_503", 13.0, 14.0) == (
        seen.succeeded,
        seen.failed,
        seen.consecutive_failures,
        seen.last_failure,
        seen.since_failure_s,
        seen.since_success_s,
    )


def test_deployments_that_no_route_leads_to_any_more_are_left_out() -> None:
    pool = new()
    attempt(pool, DOWN, 0.0)
    made = Pool({"up": 2})
    restore(
        made,
        {name: (part, 0.0) for name, part in as_state(pool, MARKS, 1.0, pool.deployments()).items()},
        MARKS,
        lambda _: [],
        0.0,
    )

    assert [] == made.deployments()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["guards", "key_rests", "rest", "order", "weight", "ejection", "succeeded", "since_failure", "last_failure",
        "refused_parameters", "consecutive_failures"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), json_values), st.dictionaries(st.sampled_from(["breaker", "recovery",
       "out_for", "habits", "rules"]), json_values), st.floats(0, 1e9))  # fmt: skip
def test_garbage_is_survived(part: dict[str, object], guard: dict[str, object], elapsed: float) -> None:
    made = new()
    garbage = {f"deployment {ID}": ({"guards": [guard], **part}, elapsed), "upstream up": (part, elapsed), "?": ({}, 0)}
    restore(made, garbage, MARKS, lambda _: [RULES], 0.0)  # type: ignore[arg-type]

    made.standing(ID, RULES, 0.0)
    picture(made, ID, 0.0)
    json.dumps(as_state(made, MARKS, 0.0, made.deployments()), allow_nan=False)
