"""Answers that refuse: status, headers and body of each refusal, in the spelling of the provider that it imitates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

from proxy.simulator.faults import Fault
from proxy.simulator.steps import Head, Script, Send
from proxy.simulator.voices import HTML_TYPE, JSON_TYPE, Document, dumps, encoded, error

_HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_DEFAULT_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer at once."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_TYPE)

    def script(self) -> Script:
        """The steps that send it."""
        yield Head(self.status, self.headers, len(self.body))
        yield Send(self.body)


def json_reply(status: int, document: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply whose body is JSON."""
    return Reply(status, encoded(dumps(document)), {**JSON_TYPE, **(headers or {})})


def refusal(fault: Fault, now: float) -> Reply:
    """The reply of a fault of the scope `refusal`; `now` is Unix time."""
    return _REFUSALS[fault.name](fault, now)


def _status(fault: Fault, now: float) -> Reply:
    server = fault.status >= 500
    document = error(
        f"Simulated fault: this upstream answers {fault.status}.", "server_error" if server else "invalid_request_error"
    )
    hints = {} if fault.retry_after is None else _wait_headers(fault.form, fault.retry_after, now)
    return json_reply(fault.status, document, hints)


def _rate_limited(fault: Fault, now: float) -> Reply:
    wait = _DEFAULT_WAIT if fault.retry_after is None else fault.retry_after
    if fault.form == "gemini":
        return json_reply(429, [_gemini_error(wait)])
    document = error(
        "Rate limit reached for requests. Limit: 3 / min. Please try again later.", "requests", "rate_limit_exceeded"
    )
    hints = _wait_headers(fault.form, wait, now)
    if fault.limit and fault.form == "openai_reset":
        hints |= request_limit(fault.limit, 0, wait)
    return json_reply(429, document, hints)


def _gemini_error(wait: float) -> Document:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait:g}s"}
    quota = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
    }
    message = "You exceeded your current quota, please check your plan and billing details."
    return {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [quota, retry]}}


def _wait_headers(form: str, wait: float, now: float) -> dict[str, str]:
    """The wait hint as headers; `gemini` hints in the body."""
    spell = _WAIT_HEADERS.get(form)
    return spell(wait, now) if spell else {}


def request_limit(limit: int, remaining: int, reset: float) -> dict[str, str]:
    """OpenAI's headers of a limit of requests, which good answers have too."""
    return {
        "X-RateLimit-Limit-Requests": str(limit),
        "X-RateLimit-Remaining-Requests": str(remaining),
        "X-RateLimit-Reset-Requests": go_duration(reset),
    }


def _openai_reset(wait: float, _: float) -> dict[str, str]:
    return {
        **request_limit(3, 0, wait),
        "X-RateLimit-Limit-Tokens": "40000",
        "X-RateLimit-Remaining-Tokens": "39000",
        "X-RateLimit-Reset-Tokens": go_duration(min(wait, 0.12)),
    }


def _anthropic_reset(wait: float, now: float) -> dict[str, str]:
    reset = datetime.fromtimestamp(math.ceil(now + wait), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Anthropic-RateLimit-Requests-Limit": "50",
        "Anthropic-RateLimit-Requests-Remaining": "0",
        "Anthropic-RateLimit-Requests-Reset": reset,
    }


_WAIT_HEADERS: dict[str, Callable[[float, float], dict[str, str]]] = {
    "seconds": lambda wait, _: {"Retry-After": str(math.ceil(wait))},
    "float": lambda wait, _: {"Retry-After": str(float(wait))},
    "http_date": lambda wait, now: {"Retry-After": formatdate(math.ceil(now + wait), usegmt=True)},
    "ms": lambda wait, _: {"Retry-After-Ms": str(round(wait * 1000))},
    "openai_reset": _openai_reset,
    "anthropic_reset": _anthropic_reset,
}


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: 6m0s, 1s, 120ms."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{round(rest, 3):g}s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown


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
    hints = {} if fault.retry_after is None else _wait_headers(fault.form, fault.retry_after, now)
    return json_reply(529, error("Overloaded", "overloaded_error", "overloaded_error"), hints)


def _html_502(*_: object) -> Reply:
    return Reply(502, encoded(_HTML_502), HTML_TYPE)


def _redirect(fault: Fault, _: float) -> Reply:
    return Reply(307, b"", {"Location": fault.location})


_REFUSALS: dict[str, Callable[[Fault, float], Reply]] = {
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
    "html_502": _html_502,
    "redirect": _redirect,
}
