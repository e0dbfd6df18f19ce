import json

import pytest

from proxy.simulator.faults import parse_fault
from proxy.simulator.refusals import go_duration
from proxy.simulator.wires.openai_errors import refusal

NOW = 1_767_225_600.25  # 2026-01-01T00:00:00.25Z


def reply(spec: str):
    return refusal(parse_fault(spec), NOW)


@pytest.mark.parametrize(
    ("form", "header", "value"),
    [
        ("seconds", "Retry-After", "2"),
        ("float", "Retry-After", "1.5"),
        ("http_date", "Retry-After", "Thu, 01 Jan 2026 00:00:02 GMT"),
        ("ms", "Retry-After-Ms", "1500"),
        ("openai_reset", "X-RateLimit-Reset-Requests", "1.5s"),
        ("anthropic_reset", "Anthropic-RateLimit-Requests-Reset", "2026-01-01T00:00:02Z"),
    ],
)
def test_a_429_hints_its_wait_in_every_spelling(form, header, value):
    limited = reply(f"429:retry_after=1.5,form={form}")
    assert limited.status == 429
    assert limited.headers[header] == value
    assert json.loads(limited.body)["error"]["code"] == "rate_limit_exceeded"


def test_a_429_hints_in_geminis_body():
    [wrapped] = json.loads(reply("429:retry_after=34,form=gemini").body)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in wrapped["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "34s"


def test_a_429_hints_two_seconds_unless_told_otherwise():
    assert reply("429").headers["Retry-After"] == "2"
    assert set(reply("429:form=none").headers) == {"Content-Type"}
    assert reply("503:retry_after=7").headers["Retry-After"] == "7"
    assert set(reply("503").headers) == {"Content-Type"}


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (0.12, "120ms"), (1, "1s"), (2.5, "2.5s"), (360, "6m0s"), (3661, "1h1m1s")]
)
def test_durations_as_go_prints_them(seconds, shown):
    assert go_duration(seconds) == shown


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ("503", 503, None),
        ("404", 404, None),
        ("unauthorized", 401, "invalid_api_key"),
        ("credit", 402, "invalid_request_error"),
        ("quota", 429, "insufficient_quota"),
        ("context", 400, "context_length_exceeded"),
        ("content_filter", 400, "content_filter"),
        ("unsupported_parameter:param=top_p", 400, "unsupported_parameter"),
        ("refuse_prefill", 400, None),
        ("model_missing", 404, "model_not_found"),
        ("overloaded", 529, "overloaded_error"),
    ],
)
def test_refusals_have_openais_error_shape(spec, status, code):
    refused = reply(spec)
    error = json.loads(refused.body)["error"]
    assert refused.status == status
    assert error["code"] == code
    assert {"message", "type", "param", "code"} <= set(error)


def test_the_unsupported_parameter_is_named():
    assert json.loads(reply("unsupported_parameter:param=top_p").body)["error"]["param"] == "top_p"


async def test_an_html_page_and_a_redirect(simulator, client):
    await simulator.inject("primary", "html_502")
    wire = await client.chat()
    assert (502, True) == (wire.status, wire.body.startswith(b"<html>"))
    await simulator.inject("primary", "redirect:location=http://elsewhere.test/")
    moved = await client.chat()
    assert (307, "http://elsewhere.test/", b"") == (moved.status, moved.headers["location"], moved.body)
