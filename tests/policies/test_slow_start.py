"""A comeback is gradual, watched, and called recovered once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.slow_start import Recovery, RecoverySettings

SETTINGS = RecoverySettings(ramp=30.0, stable=60.0)


def ramping(out_since: float = 0.0, now: float = 100.0) -> Recovery:
    recovery = Recovery(SETTINGS)
    recovery.begin(out_since, now)
    return recovery


def is_steady(recovery: Recovery, now: float) -> bool:
    return ("steady", 1.0, None, None) == (
        recovery.phase(now),
        recovery.share(now),
        recovery.settled(now),
        recovery.as_state(now),
    )


def test_is_steady_until_there_is_a_comeback() -> None:
    recovery = Recovery(SETTINGS)
    recovery.relapse()

    assert is_steady(recovery, 1e6)


def test_a_comeback_from_end_to_end() -> None:
    recovery = ramping(out_since=40.0, now=100.0)

    assert ["ramping", "ramping", "watched", "watched"] == [recovery.phase(now) for now in (100.0, 129.9, 130.0, 189.9)]
    assert [0.1, 0.1, 0.5, 1.0, 1.0] == [recovery.share(now) for now in (100.0, 103.0, 115.0, 130.0, 189.9)]
    assert recovery.settled(189.9) is None
    assert 150.0 == recovery.settled(190.0)
    assert is_steady(recovery, 190.0)


def test_without_a_ramp_everything_comes_back_at_once() -> None:
    recovery = Recovery(RecoverySettings(ramp=0.0, stable=60.0))
    recovery.begin(0.0, 100.0)

    assert ("watched", 1.0) == (recovery.phase(100.0), recovery.share(100.0))
    assert 160.0 == recovery.settled(160.0)


def test_relapse_stops_the_ramp() -> None:
    recovery = ramping()
    recovery.relapse()

    assert ("steady", 1.0, None) == (recovery.phase(500.0), recovery.share(500.0), recovery.settled(500.0))


def test_outage_counts_from_the_first_trouble_over_relapses() -> None:
    recovery = ramping(out_since=40.0, now=100.0)
    recovery.relapse()
    recovery.begin(150.0, 200.0)

    assert 0.5 == recovery.share(215.0)
    assert 250.0 == recovery.settled(290.0)


def test_second_begin_without_relapse_keeps_the_first_trouble() -> None:
    recovery = ramping(out_since=40.0, now=100.0)
    recovery.begin(10.0, 110.0)
    recovery.begin(90.0, 120.0)

    assert 200.0 == recovery.settled(210.0)


def test_after_settling_the_next_outage_is_a_new_one() -> None:
    recovery = ramping(out_since=40.0, now=100.0)
    recovery.settled(190.0)
    recovery.begin(1000.0, 1010.0)

    assert 100.0 == recovery.settled(1100.0)


def test_state_continues_on_another_clock() -> None:
    saved = json.loads(json.dumps(ramping(out_since=40.0, now=100.0).as_state(115.0)))
    assert {"out_for": 75.0, "elapsed": 15.0} == saved

    recovery = Recovery(SETTINGS)
    recovery.restore(saved, 3.0)
    assert ("ramping", 0.5) == (recovery.phase(3.0), recovery.share(3.0))
    assert 150.0 == recovery.settled(78.0)


def test_state_of_a_relapse_remembers_the_first_trouble() -> None:
    relapsed = ramping(out_since=40.0, now=100.0)
    relapsed.relapse()
    saved = relapsed.as_state(140.0)
    assert {"out_for": 100.0} == saved

    recovery = Recovery(SETTINGS)
    recovery.restore(saved, 1000.0)
    assert ("steady", 1.0, None) == (recovery.phase(1000.0), recovery.share(1000.0), recovery.settled(5000.0))
    recovery.begin(990.0, 1010.0)
    assert 200.0 == recovery.settled(1100.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e300, 10**400, "15", None, True, [], {}])
def test_garbage_means_steady(bad: object) -> None:
    for state in (bad, {"out_for": bad}, {"out_for": bad, "elapsed": 1.0}, {"out_for": 1.0, "elapsed": bad}):
        recovery = ramping()
        recovery.restore(state, 5.0)

        assert is_steady(recovery, 5.0)


def test_an_outage_is_never_shorter_than_its_comeback() -> None:
    recovery = Recovery(SETTINGS)
    recovery.restore({"out_for": 1.0, "elapsed": 50.0}, 100.0)

    assert 90.0 == recovery.settled(140.0)


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.lists(st.tuples(st.sampled_from(["begin", "relapse", "settled", "restore"]), st.floats(0, 1e5)), max_size=50),
)
def test_share_is_always_within_bounds(ramp: float, stable: float, steps: list[tuple[str, float]]) -> None:
    recovery, now = Recovery(RecoverySettings(ramp=ramp, stable=stable)), 0.0
    for step, pause in steps:
        now += pause
        if step == "begin":
            recovery.begin(now - pause, now)
        elif step == "relapse":
            recovery.relapse()
        elif step == "settled":
            seconds = recovery.settled(now)
            assert seconds is None or (seconds >= 0 and is_steady(recovery, now))
        else:
            recovery.restore(recovery.as_state(now), now)

        assert 0.1 <= recovery.share(now) <= 1


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_restore_survives_anything(value: object) -> None:
    recovery = Recovery(SETTINGS)
    for state in (value, {"out_for": value, "elapsed": value}, {"elapsed": value}):
        recovery.restore(state, 10.0)

        assert 0.1 <= recovery.share(10.0) <= 1


@pytest.mark.parametrize(("ramp", "share"), [(0.0, 1.0), (30.0, 0.1)])
def test_what_another_process_began_a_moment_from_now_has_a_share(ramp: float, share: float) -> None:
    recovery = Recovery(RecoverySettings(ramp=ramp, stable=60.0))
    recovery.adopt((0.0, 100.001))

    assert share == recovery.share(100.0)
