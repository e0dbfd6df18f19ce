"""What good answers tell of the rate limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.dialects.headroom import MAX_WAIT, MIN_WAIT, Headroom, headroom
from proxy.simulator.refusals import request_limit

NOW = 1_763_640_000.0  # Thu, 20 Nov 2025 12:00:00 GMT


def openai(of: str, remaining: object, limit: object, reset: str | None = None) -> dict[str, str]:
    told = {f"x-ratelimit-remaining-{of}": str(remaining), f"x-ratelimit-limit-{of}": str(limit)}
    return told if reset is None else {**told, f"x-ratelimit-reset-{of}": reset}


def anthropic(of: str, remaining: object, limit: object, reset: str) -> dict[str, str]:
    told = {"remaining": str(remaining), "limit": str(limit), "reset": reset}
    return {f"anthropic-ratelimit-{of}-{part}": value for part, value in told.items()}


def generic(remaining: object, limit: object, reset: str, prefix: str = "x-ratelimit") -> dict[str, str]:
    return {f"{prefix}-remaining": str(remaining), f"{prefix}-limit": str(limit), f"{prefix}-reset": reset}


SHARES: list[tuple[dict[str, str], float]] = [
    (openai("requests", 50, 200, "1s"), 0.25),
    (openai("tokens", 1000, 200_000, "6m0s"), 0.005),
    ({**openai("requests", 50, 200), **openai("tokens", 10, 100)}, 0.1),
    ({**openai("requests", 50, 200), **openai("tokens", "many", 100)}, 0.25),
    (anthropic("requests", 999, 1000, "2025-11-20T12:00:40Z"), 0.999),
    (anthropic("tokens", 9, 10, "2025-11-20T12:00:40Z"), 0.9),
    (anthropic("input-tokens", 8, 10, "2025-11-20T12:00:40Z"), 0.8),
    (anthropic("output-tokens", 7, 10, "2025-11-20T12:00:40Z"), 0.7),
    (generic(30, 60, "1763640020"), 0.5),
    (generic(30, 60, "20", "ratelimit"), 0.5),
    (generic(30, "40, 40;w=60, 1000;w=3600", "20", "ratelimit"), 0.75),
    (generic(" 30 ", "60.0", "20"), 0.5),
    ({"ratelimit": "limit=100, remaining=99, reset=30"}, 0.99),
    ({"ratelimit": "Limit=100;Remaining=99"}, 0.99),
    (openai("requests", 60, 60), 1.0),
]


@pytest.mark.parametrize(("headers", "share"), SHARES)
def test_the_smallest_share_counts(headers: dict[str, str], share: float) -> None:
    room = headroom(headers, 3, NOW)
    assert room is not None
    assert room.share == pytest.approx(share)
    assert room.wait is None


WAITS: list[tuple[dict[str, str], int, float | None]] = [
    # The bucket is full after the reset: what is needed flows in before.
    (openai("requests", 0, 60, "60s"), 0, 1.0),
    (openai("requests", 0, 60, "1m0s"), 4, 5.0),
    (openai("requests", 3, 60, "57s"), 2, None),
    (openai("requests", 3, 60, "57s"), 3, 1.0),
    (openai("requests", 3, 60, "57s"), 5, 3.0),
    (openai("tokens", 0, 100_000, "6m0s"), 9, 3.6),
    (openai("tokens", 1, 100_000, "6m0s"), 9, None),
    (anthropic("requests", 0, 50, "2025-11-20T12:00:50Z"), 0, 1.0),
    (anthropic("requests", 0, 50, "2025-11-20T14:00:50+02:00"), 0, 1.0),
    (anthropic("output-tokens", 0, 50, "2025-11-20T12:00:50Z"), 0, 0.5),
    (generic(0, 60, "1763640060"), 0, 1.0),
    (generic(0, 60, "1763640060000"), 0, 1.0),
    (generic(0, 60, "60", "ratelimit"), 0, 1.0),
    ({"ratelimit": "limit=60, remaining=0, reset=60"}, 0, 1.0),
    # Never longer than the reset, never too short, never for long.
    (openai("requests", 0, 5, "8s"), 9, 8.0),
    (openai("requests", 1, 1, "8s"), 1, 8.0),
    (openai("requests", 0, 10_000, "120ms"), 0, MIN_WAIT),
    (openai("requests", 0, 1, "20ms"), 0, MIN_WAIT),
    (anthropic("requests", 0, 50, "2025-11-20T11:00:00Z"), 0, MIN_WAIT),
    (openai("requests", 0, 10, "24h0m0s"), 0, MAX_WAIT),
    # No reset that can be understood.
    (openai("requests", 0, 60), 0, 1.0),
    (openai("requests", 0, 60, "soon"), 0, 1.0),
    (openai("requests", 0, 60, "-5s"), 0, 1.0),
    ({"ratelimit": "limit=60, remaining=0"}, 0, 1.0),
    # All windows must have room.
    ({**openai("requests", 0, 60, "60s"), **openai("tokens", 0, 100, "300s")}, 0, 3.0),
    ({**openai("requests", 0, 60, "60s"), **openai("tokens", 50, 100, "300s")}, 0, 1.0),
    ({**openai("requests", 9, 60, "60s"), "ratelimit": "limit=60, remaining=0, reset=120"}, 0, 2.0),
]


@pytest.mark.parametrize(("headers", "in_flight", "wait"), WAITS)
def test_the_wait_until_one_more_request_fits(headers: dict[str, str], in_flight: int, wait: float | None) -> None:
    room = headroom(headers, in_flight, NOW)
    assert room is not None
    assert room.wait == (None if wait is None else pytest.approx(wait))


NOTHING: list[dict[str, str]] = [
    {},
    {"content-type": "application/json", "retry-after": "5"},
    {"x-ratelimit-remaining-requests": "0"},
    {"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "1s"},
    openai("requests", -1, 60),
    openai("requests", "nan", 60),
    openai("requests", 1, "nan"),
    openai("requests", 1, "inf"),
    openai("requests", "inf", "inf"),
    openai("requests", 1, "1e300"),
    openai("requests", 1, "9" * 5000),
    openai("requests", 0, 0),
    openai("requests", 1, -1),
    openai("requests", 61, 60),
    openai("requests", "", ""),
    openai("requests", "few", "some"),
    {"ratelimit": '"burst";r=0;t=30'},  # the newest draft tells the limit in the policy only
    {"ratelimit": "limit=60, reset=30"},
    {"ratelimit": "limit=0, remaining=0, reset=30"},
    {"ratelimit": "limit=60, remaining=-1, reset=30"},
    {"ratelimit": "limit=60, remaining=61"},
    {"ratelimit": "limit=60.5, remaining=61"},
]


@pytest.mark.parametrize("headers", NOTHING)
def test_what_cannot_be_understood_says_nothing(headers: dict[str, str]) -> None:
    assert headroom(headers, 3, NOW) is None


def test_names_of_headers_in_any_case() -> None:
    """As the simulator spells them, and as aiohttp hands them over."""
    headers = CIMultiDict(request_limit(limit=60, remaining=0, reset=30))
    assert headroom(CIMultiDictProxy(headers), 0, NOW) == Headroom(0.0, 0.5)


names = st.sampled_from([*openai("requests", 0, 0, ""), *openai("tokens", 0, 0, ""), *anthropic("tokens", 0, 0, "")])
names |= st.sampled_from(["ratelimit", *generic(0, 0, ""), *generic(0, 0, "", "ratelimit")])
values = (
    st.text()
    | st.floats().map(str)
    | st.integers(-1, 9).map(str)
    | st.integers().map(str)
    | st.from_regex(r"limit=[0-9]{1,3}, ?remaining=[0-9]{1,3}(, ?reset=[0-9]{1,12})?", fullmatch=True)
    | st.from_regex(r"[0-9]{1,9}(ms|s|m|h)", fullmatch=True)
)


@given(st.dictionaries(names, values), st.integers(0, 10_000), st.floats(0, 4e9))
def test_every_headroom_is_a_share_and_a_wait(headers: dict[str, str], in_flight: int, now: float) -> None:
    room = headroom(headers, in_flight, now)
    assert room is None or 0 <= room.share <= 1
    assert room is None or room.wait is None or MIN_WAIT <= room.wait <= MAX_WAIT


@given(st.integers(1, 1000), st.data(), st.integers(0, 100), st.floats(0.2, 60))
def test_no_wait_is_longer_than_the_reset(limit: int, data: st.DataObject, in_flight: int, reset: float) -> None:
    remaining = data.draw(st.integers(0, limit))
    room = headroom(openai("requests", remaining, limit, f"{reset:f}s"), in_flight, NOW)
    assert room is not None
    assert (room.wait is None) == (remaining > in_flight)
    assert room.wait is None or room.wait <= max(reset, MIN_WAIT) + 1e-6
