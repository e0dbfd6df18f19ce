"""Errors inside a 200."""

from __future__ import annotations

import json

import pytest

from proxy.core.failure import FailureClass
from proxy.dialects.failures import classify_in_band
from tests.dialects.provider_errors import NOW, C, anthropic, openai, openrouter

IN_BAND: list[tuple[object, FailureClass, int | None]] = [
    (openai("x", "server_error"), C.OVERLOADED, None),
    (openai("The model is overloaded", None, 503), C.OVERLOADED, 503),
    (anthropic("overloaded_error", "Overloaded"), C.OVERLOADED, None),
    (openai("Rate limit reached", None, "rate_limit_exceeded"), C.RATE_LIMITED, None),
    (openai("Too many requests"), C.RATE_LIMITED, None),
    (openrouter(429, "x"), C.RATE_LIMITED, 429),
    (openrouter(402, "x"), C.QUOTA, 402),
    (
        openrouter(502, "Provider disconnected") | {"choices": [{"finish_reason": "error", "delta": {}}]},
        C.OVERLOADED,
        502,
    ),
    (openai("x", None, "insufficient_quota"), C.QUOTA, None),
    (openai("x", None, "context_length_exceeded"), C.CONTEXT_TOO_LONG, None),
    ({"error": {"code": 400, "message": "the request exceeds the available context size"}}, C.CONTEXT_TOO_LONG, 400),
    (openai("x", None, "content_filter"), C.CONTENT_REFUSED, None),
    (openai("Bad", "invalid_request_error"), C.CALLER_FAULT, None),
    (openai("Request timed out"), C.TIMEOUT, None),
    (openai("x", "NotFoundError", 404), C.MODEL_GONE, 404),
    (openai("Unsupported parameter: 'seed'"), C.PARAMETER_UNSUPPORTED, None),
    (openai("Something odd"), C.BAD_ANSWER, None),
    (openai("Bad", "BadRequestError", 400), C.BAD_ANSWER, 400),
    ({"error": "boom"}, C.BAD_ANSWER, None),
    ({"error": {}}, C.BAD_ANSWER, None),
    ({"error": 5}, C.BAD_ANSWER, None),
    ({"error": True, "message": "model overloaded: server busy"}, C.OVERLOADED, None),
    ({"choices": [{"finish_reason": "error", "delta": {"content": "rate limit"}}]}, C.BAD_ANSWER, None),
]


@pytest.mark.parametrize(("body", "expected", "status"), IN_BAND)
def test_in_band(body: object, expected: FailureClass, status: int | None) -> None:
    failure = classify_in_band("openai", json.dumps(body).encode(), NOW)
    assert failure.kind is expected
    assert failure.code == "in_band_error"
    assert failure.status == status


def test_in_band_never_repeats_the_answer() -> None:
    failure = classify_in_band("openai", b'{"choices":[{"finish_reason":"error","delta":{"content":"secret"}}]}', NOW)
    assert failure.message == "the upstream ended its answer with an error"


def test_in_band_waits() -> None:
    failure = classify_in_band(
        "openai", json.dumps(openai("Please try again in 20s", None, "rate_limit_exceeded")).encode(), NOW
    )
    assert failure.wait == 20
