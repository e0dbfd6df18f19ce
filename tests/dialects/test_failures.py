"""What is made of an upstream's error: whose words count, what waits, what is known by its bytes."""

from __future__ import annotations

import pytest

from proxy.core.failure import NextDeployment
from proxy.dialects import failures
from proxy.dialects.failures import classify
from tests.dialects.provider_errors import (
    CURRENT_QUOTA,
    PAGE,
    TPM,
    C,
    fail,
    forbidden,
    gemini,
    openai,
    openrouter,
    quota_failure,
)

ECHOES = [
    openai("Invalid prompt: 'why do I get 429 rate limit exceeded here?'"),  # litellm#11455
    openai("Could not parse \"the server is overloaded, and 'Too Many Requests' is what it says\""),
    openai("Invalid value", param="messages")
    | {"prompt": "rate limit 429 insufficient_quota Your credit balance is too low"},
    {"error": {"message": "Invalid input"}, "input": {"code": "insufficient_quota"}},
    openai("Invalid value: " + "x" * 300 + " the model is overloaded"),
    {"detail": [{"type": "string_type", "loc": ["body", "messages"], "msg": "bad", "input": "is overloaded 429"}]},
]


@pytest.mark.parametrize("body", ECHOES)
def test_an_echoed_prompt_misleads_nobody(body: object) -> None:
    assert fail("openai", 400, body).kind is C.CALLER_FAULT


def test_a_page_is_judged_by_its_status_only() -> None:
    assert fail("openai", 400, b"<p>The model is overloaded. Rate limit. insufficient_quota</p>").kind is C.CALLER_FAULT


def test_groq_requests_above_the_rate_go_to_any_next_deployment() -> None:
    assert fail("groq", 413, openai(TPM, "tokens", "rate_limit_exceeded")).verdict.next is NextDeployment.YES


def test_waits() -> None:
    assert fail("openai", 429, b"", retry_after="7").wait == 7
    assert fail("openai", 503, b"", retry_after_ms="1500").wait == 1.5
    assert fail("openai", 429, openai("x", None, "insufficient_quota"), retry_after="60").wait == 60
    assert fail("openai", 400, openai("try again in 5s"), retry_after="5").wait is None


def test_a_402_that_names_a_wait_frees_itself() -> None:
    failure = fail("openrouter", 402, openrouter(402, "In-flight budget reached"), retry_after="3")
    assert (failure.kind, failure.wait) == (C.RATE_LIMITED, 3)


def test_a_daily_quota_lasts_until_midnight_in_california() -> None:
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
    failure = fail("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", CURRENT_QUOTA, quota_failure("PerDay"), delay))
    assert failure.wait == 20 * 3600


def test_what_the_upstream_said_is_passed_on() -> None:
    failure = fail(
        "openai", 400, openai("No\n\x00 such  <b>thing</b>\u202e", "invalid_request_error", "bad", "messages[0]")
    )
    assert failure.message == "No such thing"
    assert (failure.error_type, failure.error_code, failure.param) == ("invalid_request_error", "bad", "messages[0]")


def test_messages_are_bounded_and_lose_markup() -> None:
    assert len(fail("openai", 400, openai("x" * 10_000)).message) == 500
    assert fail("openai", 502, b"<style>p {}</style>" + PAGE).message == "502 Bad Gateway 502 Bad Gateway"
    assert fail("openai", 422, forbidden("body", "n")).message == "n: Extra inputs are not permitted"


def test_what_was_classified_before_is_known_by_its_bytes() -> None:
    body = b'{"error":{"message":"busy","type":"server_error"}}'
    first = classify("openai", 503, {"content-type": "application/json"}, body, 0.0)

    assert first is classify("openai", 503, {"content-type": "application/json"}, body, 100.0)
    assert first == classify("groq", 503, {}, body, 0.0)
    assert 7.0 == classify("openai", 503, {"retry-after": "7"}, body, 0.0).wait
    assert first is classify("openai", 503, {}, body, 0.0)


def test_what_tells_a_time_is_read_anew() -> None:
    body = b'{"error":{"message":"Please try again in 20s."}}'
    first = classify("openai", 429, {}, body, 0.0)

    assert 20.0 == first.wait
    assert first is not classify("openai", 429, {}, body, 5.0)


def test_only_so_many_are_known() -> None:
    for number in range(2000):
        classify("openai", 500, {}, b"%d" % number, 0.0)

    assert len(failures._known) <= 256
