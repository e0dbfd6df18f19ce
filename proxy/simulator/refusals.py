"""Answers that are sent at once, and the wait hints of those that refuse, in the spelling of any provider."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

from proxy.simulator.events import HTML_TYPE, JSON_TYPE, dumps, encoded
from proxy.simulator.steps import Head, Script, Send

_HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


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


def html_page() -> Reply:
    """What a load balancer says when nobody is behind it."""
    return Reply(502, encoded(_HTML_502), HTML_TYPE)


def wait_headers(form: str, wait: float, now: float) -> dict[str, str]:
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
