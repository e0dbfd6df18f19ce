"""Trouble is seen coming: earlier than a breaker would open, and never on healthy traffic."""

import random
from collections import deque
from collections.abc import Iterable
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.trend import ForesightSettings, Outlook, Trend
from tests.policies.traces.generate import Answer, degrading, healthy, ramp, read, steady, traffic

SETTINGS = ForesightSettings(trend=True, share=0.2)


def breaker_opens_at(trace: Iterable[Answer]) -> float | None:
    """A plain rule, written independently: 5 failures in a row, or 60 % of at least 5 answers within 5 minutes."""
    streak, window = 0, deque[Answer]()
    for answer in trace:
        streak = 0 if answer.ok else streak + 1
        window.append(answer)
        while window[0].seconds < answer.seconds - 300:
            window.popleft()
        failed = sum(not one.ok for one in window)
        if streak >= 5 or (len(window) >= 5 and failed >= 0.6 * len(window)):
            return answer.seconds
    return None


def seconds_of(moment: float | None) -> int:
    assert moment is not None
    return round(moment)


def tell(trend: Trend, answer: Answer, *, stream: bool = True) -> None:
    trend.observe(not answer.ok, answer.latency_s if answer.ok else None, stream, answer.seconds)


def first_alarm(trace: Iterable[Answer], reason: str | None = None) -> float | None:
    """When the trend first diverts traffic, for this reason or any."""
    trend = Trend(SETTINGS)
    for answer in trace:
        tell(trend, answer)
        outlook = trend.outlook(answer.seconds)
        assert (outlook is not None) == (trend.diverted(answer.seconds) > 0)
        if outlook and reason in {None, outlook.reason}:
            return answer.seconds
    return None


def failing(trend: Trend, start: float, count: int) -> float:
    """One failure each half second; the second of the last one."""
    for number in range(count):
        trend.observe(True, None, True, start + number / 2)
    return start + (count - 1) / 2


def calm(trend: Trend, start: float, count: int, seconds: float = 0.5) -> float:
    for number in range(count):
        trend.observe(False, seconds, True, start + number / 2)
    return start + (count - 1) / 2


def test_traces_are_what_the_generator_writes() -> None:
    assert healthy() == read("healthy.csv")
    assert degrading() == read("degrading.csv")


def test_recorded_trouble_is_seen_before_the_breaker_opens() -> None:
    trace = read("degrading.csv")

    # Errors begin to climb at 900; latency has grown since 720.
    assert 1043 == seconds_of(breaker_opens_at(trace))
    assert 939 == seconds_of(first_alarm(trace, "latency"))
    assert 945 == seconds_of(first_alarm(trace, "errors"))


def test_recorded_errors_alone_are_seen_98_seconds_before_the_breaker_opens() -> None:
    trace = [one._replace(latency_s=0.6) for one in read("degrading.csv")]

    assert 1043 - 98 == seconds_of(first_alarm(trace))


def test_recorded_health_is_quiet() -> None:
    assert first_alarm(read("healthy.csv")) is None


def bursts(now: float) -> float:
    return 20.0 if now % 120 < 10 else 0.5


def pauses(now: float) -> float:
    """Twice a second, but one request in about four minutes during every third five minutes."""
    return 1 / 240 if now // 300 % 3 == 2 else 2.0


def swell(now: float) -> float:
    return 0.2 + 10 * ramp(now, 300, 1200)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [steady(0.3), steady(2.0), steady(10.0), bursts, pauses, swell])
@pytest.mark.parametrize(("errors", "sigma"), [(0.0, 0.8), (0.01, 1.0), (0.03, 0.8), (0.03, 1.0), (0.3, 0.5)])
def test_healthy_traffic_is_quiet(seed, rate, errors, sigma) -> None:
    assert first_alarm(traffic(seed, rate=rate, errors=steady(errors), sigma=sigma, length=1800)) is None


def test_climbing_errors_are_seen_first_whatever_the_luck() -> None:
    leads = []
    for seed in range(20):
        trace = list(traffic(seed, errors=lambda now: 0.01 + 0.79 * ramp(now, 900, 180), length=1200))
        opens, alarm = breaker_opens_at(trace), first_alarm(trace)
        assert opens is not None and alarm is not None and alarm > 900
        leads.append(opens - alarm)

    assert min(leads) > 0
    assert median(leads) > 60


@pytest.mark.parametrize("seed", range(5))
def test_growing_latency_is_seen(seed: int) -> None:
    trace = list(traffic(seed, slowness=lambda now: 5 ** ramp(now, 900, 180), length=1200))
    alarm = first_alarm(trace, "latency")

    assert alarm is not None and 900 < alarm < 1100


def test_falling_latency_is_no_trouble() -> None:
    assert first_alarm(traffic(1, slowness=lambda now: 0.1 ** ramp(now, 900, 180))) is None


def test_modes_are_not_mixed() -> None:
    luck, trend, alarms = random.Random(5), Trend(SETTINGS), 0
    for number in range(4000):
        # First only streams, then only whole answers, which take twenty times as long.
        stream = number < 2000
        trend.observe(False, luck.lognormvariate(-0.5 if stream else 2.5, 0.8), stream, number / 2)
        alarms += trend.diverted(number / 2) > 0

    assert 0 == alarms


def test_diverts_more_the_worse_it_is_and_never_more_than_the_share() -> None:
    trend = Trend(SETTINGS)
    now = calm(trend, 0.0, 600)
    shares = []
    for _ in range(60):
        now = failing(trend, now + 0.5, 1)
        shares.append(trend.diverted(now))

    assert 0.0 == shares[0]
    assert sorted(shares) == shares
    assert SETTINGS.share == shares[-1]
    outlook = trend.outlook(now)
    assert Outlook("errors", 1.0) == outlook


def test_latency_forecast_tells_how_many_times_slower() -> None:
    trend = Trend(SETTINGS)
    now = calm(trend, 0.0, 1200, seconds=0.5)
    now = calm(trend, now + 0.5, 240, seconds=2.0)

    outlook = trend.outlook(now)
    assert outlook is not None
    assert "latency" == outlook.reason
    assert 2.5 < outlook.forecast < 5


def test_alarm_ends_when_it_is_over() -> None:
    trend = Trend(SETTINGS)
    now = failing(trend, calm(trend, 0.0, 600) + 0.5, 20)
    assert trend.diverted(now) > 0

    now = calm(trend, now + 0.5, 240)
    assert 0.0 == trend.diverted(now)
    assert trend.outlook(now) is None


def test_alarm_does_not_flutter() -> None:
    trace = read("degrading.csv")
    trend, changes, was = Trend(SETTINGS), 0, False
    for answer in trace[: next(i for i, one in enumerate(trace) if one.seconds > 1080)]:
        tell(trend, answer)
        changes += was != (was := trend.diverted(answer.seconds) > 0)

    assert 1 == changes


def test_forecast_expires_in_silence() -> None:
    trend = Trend(SETTINGS)
    now = failing(trend, calm(trend, 0.0, 600) + 0.5, 20)

    assert trend.diverted(now + 30) > 0
    assert 0.0 == trend.diverted(now + 31)
    assert trend.outlook(now + 31) is None


def test_one_failure_after_silence_does_not_revive_the_alarm() -> None:
    trend = Trend(SETTINGS)
    now = failing(trend, calm(trend, 0.0, 600) + 0.5, 20)

    trend.observe(True, None, True, now + 600)
    assert 0.0 == trend.diverted(now + 600)


def test_a_few_answers_say_nothing() -> None:
    trend = Trend(SETTINGS)
    now = failing(trend, calm(trend, 0.0, 9) + 0.5, 10)

    assert trend.outlook(now) is None


def test_switched_off_it_is_always_quiet() -> None:
    trend = Trend(ForesightSettings(trend=False))
    now = failing(trend, calm(trend, 0.0, 600) + 0.5, 100)

    assert trend.outlook(now) is None
    assert 0.0 == trend.diverted(now)


@given(
    st.lists(st.tuples(st.floats(-1, 1e5), st.booleans(), st.booleans(), st.floats(0, 1e5)), max_size=300),
    st.floats(0, 1),
)
def test_share_is_always_within_bounds(steps: list[tuple[float, bool, bool, float]], share: float) -> None:
    trend, now = Trend(ForesightSettings(share=share)), 0.0
    for pause, failed, stream, seconds in steps:
        now += pause
        trend.observe(failed, None if failed else seconds, stream, now)

        assert 0 <= trend.diverted(now) <= share
        outlook = trend.outlook(now)
        assert outlook is None or (outlook.reason == "latency" and outlook.forecast > 1) or 0 < outlook.forecast <= 1
