"""Errors as clients of Anthropic read them."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest
from anthropic.types import ErrorResponse

from proxy.core.errors import ClientError, unauthorized
from proxy.dialects.messages.errors import error_body


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "timeout_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_types_by_status(status: int, kind: str) -> None:
    read = json.loads(error_body(ClientError(status, "some_code", "It broke."), "req_1"))
    assert {
        "type": "error",
        "error": {"type": kind, "message": "It broke.", "details": {"error_code": "some_code"}},
        "request_id": "req_1",
    } == read


def test_without_a_code_there_are_no_details() -> None:
    read = json.loads(error_body(ClientError(400, None, "It\ud83d broke."), "req_1"))
    assert {"type": "invalid_request_error", "message": "It\ud83d broke."} == read["error"]


def test_what_the_official_client_makes_of_it() -> None:
    body = error_body(unauthorized(), "req_1")
    ErrorResponse.model_validate_json(body)
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(401, content=body))
    with (
        anthropic.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport)) as client,
        pytest.raises(anthropic.AuthenticationError) as raised,
    ):
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    assert "authentication_error" == raised.value.type
