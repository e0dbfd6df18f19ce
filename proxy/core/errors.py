"""What a client may be told when something went wrong: one shape, one status, one code, and whether to try again.

Every error that leaves the proxy is a `ClientError`, in OpenAI's shape: `{"error": {message, type, param, code}}`. The
functions below are the whole list; a message says what happened and what to do about it.
"""

from __future__ import annotations

import math

import msgspec

_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ClientError(Exception):
    """An error answer. `retry_after` is in seconds; `should_retry` is what clients' SDKs are told (None: nothing)."""

    def __init__(  # noqa: PLR0913 - the four members of the wire shape, and three of its head
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        error_type: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        close: bool = False,
        outcome: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.error_type = error_type or _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.param = param
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.close = close
        """Whether the connection must end, since the rest of the request was not read."""
        self.told: dict[str, str] = {}
        """Further headers: what the reply tells of the request's way."""
        self.outcome = outcome or code or f"http_{status}"
        """The word for logs and metrics: from a closed set, unlike a `code` that an upstream chose."""

    def body(self) -> bytes:
        """The JSON body."""
        return error_body(self.message, self.error_type, self.code, self.param)

    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        headers = dict(self.told)
        if self.retry_after is not None:
            headers["retry-after"] = str(math.ceil(self.retry_after))
            headers["retry-after-ms"] = str(math.ceil(self.retry_after * 1000))
        if self.should_retry is not None:
            headers["x-should-retry"] = "true" if self.should_retry else "false"
        return headers


def error_body(message: str, error_type: str, code: str | None, param: str | None = None) -> bytes:
    """The JSON of an error, in OpenAI's shape."""
    return msgspec.json.encode({"error": _error(message, error_type, code, param)})


def error_event(message: str, code: str, *, reason: str, retryable: bool = True) -> bytes:
    """The event that ends a stream which cannot be finished.

    `reason` says, for machines, why it could not, and `retryable` whether the whole request may succeed if it is sent
    again. It is followed by the end of the body and never by `[DONE]`: official SDKs raise on it, and take a clean end
    without it for a whole answer.
    """
    error = {**_error(message, "upstream_error", code), "reason": reason, "retryable": retryable}
    return b"data: " + msgspec.json.encode({"error": error}) + b"\n\n"


def _error(message: str, error_type: str, code: str | None, param: str | None = None) -> dict[str, object]:
    return {"message": message, "type": error_type, "param": param, "code": code}


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ClientError:
    """The request itself is wrong, and would be wrong everywhere."""
    return ClientError(400, code, message, param=param, should_retry=False)


def unauthorized() -> ClientError:
    """No key, or a wrong one. Says nothing of which keys there are."""
    message = "Send a valid API key of this proxy as 'Authorization: Bearer <key>'."
    return ClientError(401, "invalid_api_key", message, should_retry=False)


def model_not_found(model: str, nearest: str | None) -> ClientError:
    """No route has this name."""
    hint = f" Did you mean {nearest!r}?" if nearest else " GET /v1/models lists the routes."
    return ClientError(404, "model_not_found", f"No route is named {model[:100]!r}.{hint}", param="model")


def path_not_found(method: str, path: str) -> ClientError:
    """No such URL."""
    message = f"Unknown path: {method[:20]} {path[:200]}. Chat completions are at POST /v1/chat/completions."
    return ClientError(404, "path_not_found", message)


def method_not_allowed(method: str, allowed: str) -> ClientError:
    """The URL exists, for another method."""
    return ClientError(405, "method_not_allowed", f"{method[:20]} is not allowed here; use {allowed}.")


def request_too_large(limit: int) -> ClientError:
    """The body is larger than `server.max_body`; its rest is not read, so the connection closes."""
    message = f"The request body is larger than {limit} bytes (server.max_body)."
    return ClientError(413, "request_too_large", message, close=True, should_retry=False)


def body_timeout(seconds: float) -> ClientError:
    """The client was too slow to send its body."""
    message = f"The request body did not arrive within {seconds:g} s (server.timeout.body)."
    return ClientError(408, "request_timeout", message, close=True)


def too_busy(limit: int) -> ClientError:
    """The server is full; it says so at once rather than queueing."""
    message = f"{limit} requests are already in flight (server.max_concurrent)."
    return ClientError(503, "overloaded", message, retry_after=1.0, close=True)


def stopping() -> ClientError:
    """The server drains and takes no new work."""
    return ClientError(503, "overloaded", "The proxy is shutting down.", retry_after=1.0, should_retry=True, close=True)


def forbidden(message: str) -> ClientError:
    """Known caller, not allowed."""
    return ClientError(403, "forbidden", message, should_retry=False)


def internal(request_id: str) -> ClientError:
    """A bug of ours. The log has the traceback under this request id."""
    return ClientError(500, "internal_error", f"Internal error of the proxy; its log has details under {request_id}.")
