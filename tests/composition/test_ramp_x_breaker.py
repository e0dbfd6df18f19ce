"""The way back: traffic grows, a relapse opens sooner and for longer, and a stable time ends it."""

from itertools import chain

from proxy.core.event import BreakerChanged, RampStarted, Recovered
from proxy.core.failure import Failure, FailureClass
from tests.support.plans import guarded, plan
from tests.support.play import OK, Play, always

DOWN = Failure(FailureClass.BAD_ANSWER, "empty_answer")
RULES = guarded(consecutive=4, open_for=10.0, probes=1, close_after=1, ramp=20.0, stable=30.0)


def back(*later: Failure | str) -> Play:
    """A world in which `a` has been out, and is on its way back since the probe at second 11."""
    play = Play({"a": chain([*[DOWN] * 4, OK, *later], always(OK)), "b": always(OK)}, takes=0.0)
    made = plan("a", "b", rules=RULES, attempts=1)
    play.requests(made, 4)
    play.pass_time(11.0)
    assert "a" == play.request(made)
    return play


def shares(play: Play, seconds: int) -> list[float]:
    """Each second: of a hundred requests with their luck spread evenly, the share that `a` got."""
    seen = []
    for _ in range(seconds):
        answers = []
        for luck in range(100):
            play.luck = luck / 100
            answers.append(play.request(plan("a", "b", rules=RULES, attempts=1)))
        seen.append(answers.count("a") / 100)
        play.pass_time(1.0)
    return seen


def test_traffic_grows_from_a_tenth_to_all_of_it() -> None:
    seen = shares(back(), 21)

    assert 0.1 == seen[0]
    assert seen == sorted(seen)
    assert 0.5 == seen[10]
    assert 1.0 == seen[20]


def test_a_relapse_opens_after_half_the_failures_and_for_twice_as_long() -> None:
    play = back(DOWN, DOWN)
    play.requests(plan("a", "b", rules=RULES, attempts=1), 3)

    changes = [event for event in play.told if isinstance(event, BreakerChanged) and event.target == "open"]
    assert ["consecutive_failures", "relapse"] == [change.cause for change in changes]
    assert [10.5, 21.0] == [change.duration for change in changes]


def test_it_has_recovered_when_it_was_stable_for_long_enough() -> None:
    play = back()
    play.pass_time(60.0)

    assert [RampStarted, Recovered] == [
        type(event) for event in play.told if isinstance(event, RampStarted | Recovered)
    ]
    recovered = play.told[-1]
    assert isinstance(recovered, Recovered)
    assert 61.0 == recovered.duration
    assert 1.0 == play.pool.standing(recovered.deployment, RULES, play.now).share


def test_nobody_else_to_take_the_rest_so_it_gets_everything() -> None:
    play = back()
    play.luck = 0.99

    assert "a" == play.request(plan("a", rules=RULES))
