import random

from proxy.simulator.arming import ArmedFault, Facts
from proxy.simulator.faults import parse_fault

CHAT = Facts(is_chat=True)
MODELS = Facts(is_chat=False)


def armed(spec: str, seed: int = 0) -> ArmedFault:
    return ArmedFault(parse_fault(spec), random.Random(seed), since=100.0)


def names(fault: ArmedFault, count: int, facts: Facts = CHAT, now: float = 100.0) -> list[str | None]:
    struck = [fault.strike(facts, now) for _ in range(count)]
    return [one.name if one else None for one in struck]


def test_a_fault_strikes_until_healed():
    assert names(armed("stall"), 3) == ["stall"] * 3


def test_times_counts_chat_requests_only():
    fault = armed("503:times=2")
    assert names(fault, 3, MODELS) == ["status"] * 3
    assert names(fault, 3) == ["status", "status", None]
    assert fault.healed(100.0)
    assert names(fault, 1, MODELS) == [None]


def test_lasts_heals_by_time():
    fault = armed("503:lasts=5")
    assert names(fault, 1, now=104.9) == ["status"]
    assert names(fault, 1, now=105.0) == [None]


def test_faults_of_answers_leave_other_paths_alone():
    assert names(armed("stall"), 1, MODELS) == [None]
    assert names(armed("hang"), 1, MODELS) == ["hang"]


def test_luck_repeats_with_its_seed():
    drawn = names(armed("503:probability=0.5", seed=7), 40)
    assert drawn == names(armed("503:probability=0.5", seed=7), 40)
    assert drawn != names(armed("503:probability=0.5", seed=8), 40)
    assert 10 < drawn.count("status") < 30


def test_random_strikes_with_its_inner_fault():
    drawn = names(armed("random:inner=cut,probability=0.5"), 40)
    assert set(drawn) == {"cut", None}
    assert names(armed("503:probability=0"), 9) == [None] * 9


def test_other_paths_draw_no_luck():
    fault, undisturbed = armed("503:probability=0.5"), armed("503:probability=0.5")
    assert names(fault, 5, MODELS) == [None] * 5
    assert names(fault, 20) == names(undisturbed, 20)


def test_flapping_goes_round():
    fault = armed("flapping:inner=503,broken=2,healthy=3")
    seen = [names(fault, 1, now=100.0 + second)[0] for second in range(11)]
    assert seen == ["status", "status", None, None, None] * 2 + ["status"]


def test_flapping_closes_the_port_and_says_when_that_changes():
    fault = armed("flapping:inner=refuse,broken=2,healthy=3")
    assert (fault.closes_port(100.5), fault.next_change(100.5)) == (True, 1.5)
    assert (fault.closes_port(102.5), fault.next_change(102.5)) == (False, 2.5)
    assert armed("flapping:inner=503").next_change(100.0) is None
    assert armed("refuse").next_change(100.0) is None
    assert armed("refuse:lasts=4").next_change(101.0) == 3.0


def test_faults_that_look_at_the_request():
    assert names(armed("unsupported_parameter:param=top_p"), 1) == [None]
    with_top_p = Facts(is_chat=True, fields=frozenset({"top_p"}))
    assert names(armed("unsupported_parameter:param=top_p"), 1, with_top_p) == ["unsupported_parameter"]
    assert names(armed("context:limit=10"), 1, Facts(is_chat=True, prompt_tokens=10)) == [None]
    assert names(armed("context:limit=10"), 1, Facts(is_chat=True, prompt_tokens=11)) == ["context"]
    assert names(armed("refuse_prefill"), 1) == [None]
    assert names(armed("refuse_prefill"), 1, Facts(is_chat=True, ends_with_assistant=True)) == ["refuse_prefill"]
    assert names(armed("stale"), 1) == [None]
    assert names(armed("stale"), 1, Facts(is_chat=True, reuses_connection=True)) == ["stale"]


def told(fault: ArmedFault, at: float) -> tuple[str, int | float | None, float | None]:
    """Name, what remains or is to be waited, and the reset."""
    struck = fault.strike(CHAT, 100.0 + at)
    assert struck is not None
    return (struck.name, struck.remaining, struck.reset) if struck.name != "429" else ("429", None, struck.retry_after)


def test_headroom_counts_down_to_429_and_comes_back_at_once():
    fault = armed("low_headroom:remaining=2,limit=3,reset=10")
    # The window begins with the first request, however long after the injection.
    assert told(fault, 50) == ("low_headroom", 1, 10)
    assert told(fault, 54) == ("low_headroom", 0, 6)
    assert told(fault, 55) == ("429", None, 5)
    assert told(fault, 59.9994) == ("429", None, 0.001)
    assert [told(fault, 60)[1] for _ in range(4)] == [2, 1, 0, None]
    # Windows follow each other, also those in which nobody asks.
    assert told(fault, 85) == ("low_headroom", 2, 5)


def test_headroom_that_refills_steadily():
    fault = armed("low_headroom:remaining=1,limit=10,reset=5,refill=steady")
    assert told(fault, 0) == ("low_headroom", 0, 5)
    assert told(fault, 0.4) == ("429", None, 4.6)
    assert told(fault, 0.5) == ("low_headroom", 0, 5)
    assert told(fault, 2) == ("low_headroom", 2, 4)
    assert told(fault, 99) == ("low_headroom", 9, 0.5)


def test_there_is_never_more_headroom_than_the_limit():
    assert told(armed("low_headroom:remaining=9,limit=3"), 0) == ("low_headroom", 2, 10)
    assert told(armed("low_headroom:limit=0"), 0)[0] == "429"
    assert told(armed("low_headroom:limit=0,refill=steady"), 0) == ("429", None, 0)


def test_headroom_within_a_wrapper_is_that_of_the_inner_fault():
    fault = armed("flapping:inner=low_headroom,remaining=2,broken=5,healthy=5")
    assert told(fault, 0)[1] == 1
    assert fault.strike(CHAT, 106.0) is None
    assert armed("low_headroom").strike(MODELS, 100.0) is None


def test_a_probability_makes_a_tail():
    drawn = names(armed("slower:probability=0.05"), 1000)
    assert 20 < drawn.count("slower") < 80
