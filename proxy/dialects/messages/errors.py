"""Errors as clients of Anthropic read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.core.errors import ClientError
from proxy.dialects.chat_events import to_json

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status; other 4xx are `invalid_request_error`, other 5xx `api_error`."""


def error_body(error: ClientError, request_id: str) -> bytes:
    """The body of an error answer. The stable code is where Anthropic has its own, in `details.error_code`."""
    kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    told: dict[str, Any] = {"type": kind, "message": error.message}
    if error.code is not None:
        told["details"] = {"error_code": error.code}
    return to_json({"type": "error", "error": told, "request_id": request_id})


def error_event(message: str, code: str, *, reason: str, retryable: bool) -> bytes:
    """The event that ends a stream which cannot be finished; see `core/errors.py: error_event`.

    No `message_stop` follows. Clients try again after an `overloaded_error`, so what is not to be tried again is none.
    """
    kind = "overloaded_error" if retryable else "api_error"
    details = {"error_code": code, "reason": reason, "retryable": retryable}
    error = {"type": kind, "message": message, "details": details}
    return b"event: error\ndata: " + to_json({"type": "error", "error": error}) + b"\n\n"
