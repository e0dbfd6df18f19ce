"""How OpenAI and those who speak its languages refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.simulator.events import Document, Event, dumps
from proxy.simulator.faults import Fault
from proxy.simulator.question import BadRequestError
from proxy.simulator.refusals import Reply, json_reply, request_limit, wait_headers
from proxy.simulator.wires.wire import Call, Exchange, Wire, broken_message, default_wait


def error(message: str, kind: str, code: str | int | None = None, param: str | None = None) -> Document:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal(fault: Fault, now: float) -> Reply:
    """The reply of a fault of the scope `refusal`; `now` is Unix time."""
    return REFUSALS[fault.name](fault, now)


class OpenAIWire(Wire):
    """What OpenAI's languages have in common: the error shape and the headers."""

    def error(self, status: int, kind: str, message: str, details: object = None) -> Document:
        """An error in OpenAI's shape."""
        return error(message, kind)

    def failure(self, exchange: Exchange, status: int = 500) -> Document:
        """The error that the faults send inside a 200."""
        return stream_error(exchange.upstream, status)

    def failure_event(self, exchange: Exchange, status: int = 500, code: int | None = None) -> Event:
        """The event that tells of an error inside a stream."""
        return Event(dumps(stream_error(exchange.upstream, status, code)))

    def refuse(self, fault: Fault, call: Call, now: float) -> Reply:
        """The reply of a fault of the scope `refusal`."""
        return refusal(fault, now)

    def complain(self, problem: BadRequestError) -> Reply:
        """The reply to a request that cannot be answered."""
        code = "invalid_api_key" if problem.status == 401 else None
        return json_reply(problem.status, error(str(problem), "invalid_request_error", code, problem.param))

    def limit_headers(self, limit: int, remaining: int, reset: float, now: float) -> Mapping[str, str]:
        """OpenAI's headers of a limit of requests."""
        return request_limit(limit, remaining, reset)


_WITHIN = {
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("service_unavailable_error", "server_is_overloaded"),
    529: ("overloaded_error", "overloaded_error"),
}


def stream_error(upstream: str, status: int = 500, code: int | None = None) -> Document:
    """The error that the faults send inside a 200, with a code that is a number if one is given."""
    kind, name = _WITHIN.get(status, ("server_error", "server_error"))
    return error(broken_message(upstream), kind, name if code is None else code)


def _status(fault: Fault, now: float) -> Reply:
    server = fault.status >= 500
    document = error(
        f"Simulated fault: this upstream answers {fault.status}.", "server_error" if server else "invalid_request_error"
    )
    hints = {} if fault.retry_after is None else wait_headers(fault.form, fault.retry_after, now)
    return json_reply(fault.status, document, hints)


def _rate_limited(fault: Fault, now: float) -> Reply:
    wait = default_wait(fault) or 0.0
    if fault.form == "gemini":
        return json_reply(429, [_gemini_error(wait)])
    document = error(
        "Rate limit reached for requests. Limit: 3 / min. Please try again later.", "requests", "rate_limit_exceeded"
    )
    hints = wait_headers(fault.form, wait, now)
    if fault.limit and fault.form == "openai_reset":
        hints |= request_limit(fault.limit, 0, wait)
    return json_reply(429, document, hints)


def _gemini_error(wait: float) -> Document:
    """As Gemini's OpenAI-compatible path says it."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait:g}s"}
    quota = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
    }
    message = "You exceeded your current quota, please check your plan and billing details."
    return {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [quota, retry]}}


def _unauthorized(*_: object) -> Reply:
    return json_reply(
        401, error("Incorrect API key provided: sk-***simulated.", "invalid_request_error", "invalid_api_key")
    )


def _credit(*_: object) -> Reply:
    return json_reply(402, error("Insufficient Balance", "unknown_error", "invalid_request_error"))


def _quota(*_: object) -> Reply:
    message = "You exceeded your current quota, please check your plan and billing details."
    return json_reply(429, error(message, "insufficient_quota", "insufficient_quota"))


def _context(fault: Fault, _: float) -> Reply:
    limit = fault.limit or 8192
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in more than {limit} "
        "tokens. Please reduce the length of the messages."
    )
    return json_reply(400, error(message, "invalid_request_error", "context_length_exceeded", "messages"))


def _content_filter(*_: object) -> Reply:
    message = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    inner = {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
    }
    shape = {"message": message, "type": None, "param": "prompt", "code": "content_filter", "status": 400}
    return json_reply(400, {"error": {**shape, "innererror": inner}})


def _unsupported_parameter(fault: Fault, _: float) -> Reply:
    message = f"Unsupported parameter: '{fault.param}' is not supported with this model."
    return json_reply(400, error(message, "invalid_request_error", "unsupported_parameter", fault.param))


def _refuse_prefill(*_: object) -> Reply:
    message = "This model does not support assistant message prefill. The conversation must end with a user message."
    return json_reply(400, error(message, "invalid_request_error"))


def _model_missing(*_: object) -> Reply:
    message = "The model does not exist or you do not have access to it."
    return json_reply(404, error(message, "invalid_request_error", "model_not_found", "model"))


def _overloaded(fault: Fault, now: float) -> Reply:
    hints = {} if fault.retry_after is None else wait_headers(fault.form, fault.retry_after, now)
    return json_reply(529, error("Overloaded", "overloaded_error", "overloaded_error"), hints)


REFUSALS: dict[str, Callable[[Fault, float], Reply]] = {
    "status": _status,
    "429": _rate_limited,
    "unauthorized": _unauthorized,
    "credit": _credit,
    "quota": _quota,
    "context": _context,
    "content_filter": _content_filter,
    "unsupported_parameter": _unsupported_parameter,
    "refuse_prefill": _refuse_prefill,
    "model_missing": _model_missing,
    "overloaded": _overloaded,
}
