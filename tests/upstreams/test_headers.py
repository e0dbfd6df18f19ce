"""What is noticed of the headers of a good answer."""

from __future__ import annotations

import pytest

from proxy.dialects import headroom
from proxy.upstreams.answer import Answer
from proxy.upstreams.headers import PASSED_HEADERS, notable


def answer(*lines: bytes) -> Answer:
    made = Answer()
    made.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n" % b"".join(b"%b\r\n" % line for line in lines))
    assert made.complete
    return made


def test_nothing_of_most_upstreams() -> None:
    assert ({}, {}) == notable(answer())
    assert ({}, {}) == notable(answer(b"Date: today", b"X-Request-Id: x-ratelimit-limit: 7", b"X-OpenAI-Version: 1"))


def test_what_clients_may_see_and_what_tells_of_limits() -> None:
    passed, limits = notable(
        answer(
            b"OpenAI-Processing-Ms: 12 ",
            b"openai-organization: mine",
            b"x-ratelimit-limit-requests: 10",
            b"X-RateLimit-Limit-Requests: 11",
            b"RateLimit: limit=10, remaining=1",
            b"anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:00Z",
        )
    )

    assert [("openai-processing-ms", "12"), ("x-ratelimit-limit-requests", "10")] == list(passed.items())
    assert {
        "x-ratelimit-limit-requests": "10",
        "ratelimit": "limit=10, remaining=1",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
    } == limits


@pytest.mark.parametrize("name", sorted(PASSED_HEADERS | headroom.NAMES))
def test_none_is_overlooked(name: str) -> None:
    passed, limits = notable(answer(b"%b: 1" % name.title().encode()))

    assert {name: "1"} == {**passed, **limits}
    assert (name in PASSED_HEADERS, name in headroom.NAMES) == (name in passed, name in limits)


def test_of_a_head_that_is_not_usual_the_same() -> None:
    assert ({"openai-version": "1"}, {}) == notable(answer(b"X: \xe9", b"openai-version:1", b"openai-version: 2"))
