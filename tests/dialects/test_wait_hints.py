"""Every spelling of "try again later"."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.dialects.wait_hints import MAX_WAIT, wait_hint

NOW = 1_763_640_000.0  # Thu, 20 Nov 2025 12:00:00 GMT

HEADERS: list[tuple[dict[str, str], float | None]] = [
    # Headers made for it.
    ({"retry-after": "5"}, 5),
    ({"retry-after": "0"}, 0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": " 7 "}, 7),
    ({"retry-after": "30s"}, 30),
    ({"retry-after": "6m0s"}, 360),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
    ({"x-ms-retry-after-ms": "250"}, 0.25),
    ({"retry-after": "Thu, 20 Nov 2025 12:00:30 GMT"}, 30),
    ({"retry-after": "Thursday, 20-Nov-25 12:00:30 GMT"}, 30),
    ({"retry-after": "Thu, 20 Nov 2025 13:00:30 +0100"}, 30),
    ({"retry-after": "Thu, 20 Nov 2025 11:00:00 GMT"}, 0),
    ({"retry-after": "2025-11-20T12:01:00Z"}, 60),
    ({"retry-after": "2025-11-20T12:01:00"}, 60),
    ({"retry-after": "1763640060"}, 60),
    ({"retry-after": "1763640060000"}, 60),
    # Hostile ones say nothing, or are cut.
    ({"retry-after": "-5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "1e400"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "later"}, None),
    ({"retry-after": "5, 5"}, None),
    ({"retry-after": "\u0665"}, None),
    ({"retry-after": "9" * 5000}, None),
    ({"retry-after": "99999999"}, MAX_WAIT),
    ({"retry-after": "Fri, 20 Nov 2999 12:00:00 GMT"}, MAX_WAIT),
    ({"retry-after": "999999999h"}, MAX_WAIT),
    ({"retry-after": "Mon, 99 Foo 2025 12:00:00 GMT"}, None),
    # OpenAI, Groq, Azure: durations, and what is left.
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "33"}, 33),
    (
        {
            "x-ratelimit-remaining-requests": "9",
            "x-ratelimit-reset-requests": "24h0m0s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        7.66,
    ),
    (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "9s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "3s",
        },
        9,
    ),
    ({"x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "3s"}, None),
    ({"x-ratelimit-reset-requests": "24h", "x-ratelimit-reset-tokens": "3s"}, 3),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "-3s"}, None),
    ({"retry-after": "2", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 2),
    # Anthropic: RFC 3339; the unified limits tell a status.
    ({"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2025-11-20T12:00:40Z"}, 40),
    (
        {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2025-11-20T14:00:40+02:00"},
        40,
    ),
    ({"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2025-11-20T11:00:00Z"}, 0),
    (
        {"anthropic-ratelimit-requests-remaining": "5", "anthropic-ratelimit-requests-reset": "2025-11-20T12:00:40Z"},
        None,
    ),
    (
        {
            "anthropic-ratelimit-unified-5h-status": "rejected",
            "anthropic-ratelimit-unified-5h-reset": "1763640100",
            "anthropic-ratelimit-unified-7d-status": "allowed",
            "anthropic-ratelimit-unified-7d-reset": "1763940000",
        },
        100,
    ),
    # One limit for all, in every unit.
    ({"x-ratelimit-reset": "20"}, 20),
    ({"x-ratelimit-reset": "1763640020"}, 20),
    ({"x-ratelimit-reset": "1763640020000"}, 20),
    ({"x-ratelimit-reset": "Thu, 20 Nov 2025 12:00:20 GMT"}, 20),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "20"}, 20),
    ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "20"}, None),
    ({"x-rate-limit-reset": "1763640020"}, 20),
    ({"ratelimit-reset": "20"}, 20),
    ({"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "34"}, 34),
    ({"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "12.5"}, 12.5),
    ({"ratelimit": '"limit";r=0;t=30'}, 30),
    ({"ratelimit": '"burst";r=0;t=30, "day";r=5;t=900'}, 30),
    ({"ratelimit": '"burst";r=3;t=30'}, None),
    ({"ratelimit": "limit=100, remaining=0, reset=30"}, 30),
    ({"ratelimit": "nonsense"}, None),
    ({}, None),
    ({"content-type": "text/html"}, None),
]


@pytest.mark.parametrize(("headers", "expected"), HEADERS)
def test_headers(headers: dict[str, str], expected: float | None) -> None:
    assert wait_hint(headers, b"", NOW) == pytest.approx(expected)


def retry_info(*delays: str) -> dict[str, object]:
    return {
        "error": {
            "message": "",
            "details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": delay} for delay in delays],
        }
    }


BODIES: list[tuple[object, float | None]] = [
    ([retry_info("34s")], 34),
    (retry_info("0.5s"), 0.5),
    (retry_info("4s", "34.5s"), 34.5),
    (retry_info("-4s"), None),
    (retry_info(""), None),
    ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1763640020000", "X-RateLimit-Remaining": "0"}}}}, 20),
    ({"error": {"message": "", "metadata": {"retry_after_seconds": 9}}}, 9),
    ({"message": "You are being rate limited.", "retry_after": 1.25}, 1.25),
    ({"error": {"message": "", "retry_after_ms": 90}}, 0.09),
    ({"error": "x", "retry_after": None}, None),
    ({"error": "x", "headers": 5}, None),
    ("Rate limit reached for gpt-4o. Please try again in 20s. Visit the limits page.", 20),
    ("Please try again in 6m0s.", 360),
    ("Please try again in 7m12.34s.", 432.34),
    ("Please try again in 120ms.", 0.12),
    ("Please try again in 1h2m3.5s", 3723.5),
    ("Please retry in 34.074824224s.", 34.074824224),
    ("Please retry after 5 seconds.", 5),
    ("Please retry after 86400 seconds.", 86400),
    ("retry after 5", 5),
    ("Retry after: 10 secs", 10),
    ("Please wait 30 seconds before the next request", 30),
    ("Please wait for 1 minute", 60),
    ("try again in 2 minutes and 5 seconds", 125),
    ("Your limit resets in 3 hours", 10800),
    ("Try again in 5 days", 432000),
    ("Out of call volume quota. Quota will be replenished in 01:23:45.", 5025),
    ("You will regain access on 2025-12-01 at 00:00 UTC.", 907200),
    ("Try again at 2025-11-20T12:01:00Z", 60),
    ("Try again in 99999999 days", MAX_WAIT),
    ("Please try again later", None),
    ("Please try again in a few minutes", None),
    ("Try again in 3 months", None),
    ("try again at 10:30", None),
    ("Limit 30000, Used 20000, Requested 15000", None),
    ("", None),
]


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_bodies(body: object, expected: float | None) -> None:
    document = {"error": {"message": body}} if isinstance(body, str) else body
    assert wait_hint({}, json.dumps(document).encode(), NOW) == pytest.approx(expected)


def test_the_order_is_header_then_body_then_reset_then_words() -> None:
    info = retry_info("34s")
    info["error"]["message"] = "try again in 99s"  # type: ignore[index]
    body = json.dumps(info).encode()
    reset = {"x-ratelimit-reset": "50"}
    assert wait_hint({"retry-after": "1", **reset}, body, NOW) == 1
    assert wait_hint(reset, body, NOW) == 34
    assert wait_hint(reset, b'{"error":{"message":"try again in 99s"}}', NOW) == 50


def test_names_of_headers_in_any_case() -> None:
    assert wait_hint(CIMultiDict({"Retry-After-Ms": "20"}), b"", NOW) == 0.02
    assert (
        wait_hint(CIMultiDict({"X-RateLimit-Reset-Tokens": "6m0s", "X-RateLimit-Remaining-Tokens": "0"}), b"", NOW)
        == 360
    )


def test_a_plain_text_may_tell_the_wait() -> None:
    assert wait_hint({}, b"Too many requests, please try again in 20s", NOW) == 20


names = st.sampled_from(
    ["retry-after", "retry-after-ms", "x-ratelimit-reset", "ratelimit", "anthropic-ratelimit-tokens-reset"]
)
values = (
    st.text()
    | st.floats().map(str)
    | st.integers().map(str)
    | st.from_regex(r"[0-9a-zA-Z:,;= .+-]{0,40}", fullmatch=True)
)


@given(st.dictionaries(names, values), values, st.floats(0, 4e9))
def test_every_wait_is_a_number_of_seconds(headers: dict[str, str], text: str, now: float) -> None:
    body = json.dumps({"error": {"message": f"try again in {text}", "retry_after": text}}).encode()
    wait = wait_hint(headers, body, now)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= MAX_WAIT)
