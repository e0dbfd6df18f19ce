"""Headers: what clients may ask for in them, and what replies tell."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from proxy.core.errors import ClientError, bad_request
from proxy.core.event import AttemptEnded
from proxy.core.names import DeploymentId
from proxy.core.wire import Wire
from proxy.dialects.languages import CLIENT_WIRES
from proxy.routing.plan import Wishes

SERVER = "holdfast"
"""The `server` header: no versions, which only help those who look for weaknesses."""
SSE_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # nginx and its kin would hold the stream back in their buffers.
    "x-accel-buffering": "no",
}
"""Of every stream."""
_SANE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_UNSAFE = re.compile(r"[^\x20-\x7e]")
_MAX_VALUE = 2000
"""Characters of one reply header. A long trail is cut rather than breaking clients that limit heads to 8 KB."""
_LONGEST_TIMEOUT_S = 86_400.0


def request_id(headers: Mapping[str, str]) -> str:
    """The client's own id if it is sane, else a new one."""
    return own_request_id(headers) or new_request_id()


def own_request_id(headers: Mapping[str, str]) -> str | None:
    """The client's own id if it is sane (at most 128 visible ASCII characters)."""
    own = headers.get("x-request-id", "")
    return own if _SANE_ID.fullmatch(own) else None


def new_request_id() -> str:
    """An id that nobody else has."""
    return f"req_{random.getrandbits(128):032x}"


def read_wishes(headers: Mapping[str, str], upstreams: Iterable[str]) -> Wishes:
    """What the client asked for. Raises ClientError (400) for values that make no sense."""
    timeout = _seconds(headers, "x-holdfast-timeout")
    if (sdk_timeout := headers.get("x-stainless-read-timeout")) is not None:
        # The SDK gives up after this long: working on would be for nobody. Its value is its own affair, so never a 400.
        try:
            patience = float(sdk_timeout)
        except ValueError:
            patience = math.inf
        if 0 < patience < (timeout or math.inf):
            timeout = patience
    fallback = headers.get("x-holdfast-fallback", "on").lower()
    if fallback not in {"on", "off"}:
        raise bad_request("x-holdfast-fallback must be 'on' or 'off'.")
    upstream = headers.get("x-holdfast-upstream")
    if upstream is not None and upstream not in upstreams:
        raise bad_request(f"x-holdfast-upstream: no upstream is named {upstream[:64]!r}.")
    explain = headers.get("x-holdfast-explain", "off").lower() in {"1", "on", "true"}
    return Wishes(timeout, fallback == "on", upstream, explain)


def read_tags(headers: Mapping[str, str]) -> str | None:
    """What the client wants to find again in the log; at most 256 characters."""
    tags = headers.get("x-holdfast-tags")
    return safe(tags)[:256] if tags else None


def retry_count(headers: Mapping[str, str]) -> int:
    """How often the client's SDK says that it has already sent this request."""
    value = headers.get("x-stainless-retry-count", "0")
    return int(value) if value.isdecimal() and len(value) < 4 else 0


def safe(value: str) -> str:
    """A header value: visible ASCII and spaces, bounded, never a line break."""
    return _UNSAFE.sub("?", value)[:_MAX_VALUE]


safe_name = lru_cache(maxsize=1024)(safe)
"""`safe`, for what is told again and again."""


def trail(ended: Iterable[AttemptEnded], running: tuple[DeploymentId, float] | None = None) -> str:
    """One item per attempt: `openai/gpt-4o;o=http_503;ms=312`. `running` is a stream's attempt that has content."""
    items = [
        f"{safe_name(str(attempt.deployment))};o={attempt.outcome};ms={attempt.duration * 1000:.0f}"
        for attempt in ended
    ]
    if running is not None:
        items.append(f"{safe_name(str(running[0]))};o=ok;ms={running[1] * 1000:.0f}")
    return ", ".join(items)[:_MAX_VALUE]


def error_headers(error: ClientError, id: str) -> dict[str, str]:  # noqa: A002 - the word for it
    """The headers of every error answer."""
    return {"content-type": "application/json", "x-request-id": id, "server": SERVER, **error.headers()}


def error_body(error: ClientError, wire: Wire, id: str) -> bytes:  # noqa: A002 - the word for it
    """The body of an error answer, in the language that the client speaks."""
    spoken = CLIENT_WIRES.get(Wire.MESSAGES if wire is Wire.COUNT_TOKENS else wire)
    return error.body() if spoken is None else spoken.error_body(error, id)


def header_lines(headers: Mapping[str, str]) -> str:
    """Headers as they stand in a head."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def http_head(status: int, lines: str, size: int | None, *, request_id: str, close: bool = False) -> bytes:
    """The head of an answer in HTTP/1.1. `size` is that of its body in bytes; None for one that comes in chunks.

    `lines` are those of its headers without what is added here: the id, the date, the server, and how the body is
    framed.
    """
    framed = "transfer-encoding: chunked" if size is None else f"content-length: {size}"
    end = "\r\nconnection: close\r\n\r\n" if close else "\r\n\r\n"
    head = f"{_opening(status, int(time.time()))}{lines}x-request-id: {request_id}\r\n{framed}{end}"
    return head.encode("latin-1", "replace")


@lru_cache(maxsize=4)
def _opening(status: int, second: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\nserver: {SERVER}\r\ndate: {formatdate(second, usegmt=True)}\r\n"


def _seconds(headers: Mapping[str, str], name: str) -> float | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_TIMEOUT_S:
        raise bad_request(f"{name} must be a number of seconds, above 0 and at most {_LONGEST_TIMEOUT_S:.0f}.")
    return seconds
