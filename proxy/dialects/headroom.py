"""How much of its rate limits an upstream has left, from the headers of its good answers.

A *window* is one limit: so many requests or tokens, of which some remain. An upstream may tell several; the tightest
one counts. This is read at every good answer, so the usual case, no such header at all, costs nine look-ups, and
reset times are read only when nothing more fits.

The windows of model providers are token buckets, which fill all the time, and their reset says when the bucket is FULL
again: for `remaining: 0, limit: 3000, reset: 60s` the next request fits after 20 ms, not after a minute. So the wait
is the share of the reset in which what is needed flows in. Where the guess is wrong, because the window is a fixed one
that refills all at once, the price is a refused request, whose own hint (`wait_hints.py`) is then obeyed in full; the
other mistake would keep a good key idle for a whole reset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from proxy.dialects.wait_hints import moment

MIN_WAIT = 0.1
"""Seconds; a shorter wait is not worth to be planned, and a reset in the past (clocks differ) is no leave to hurry."""
MAX_WAIT = 60.0
"""Seconds; good answers refused nothing, so no key is put aside for longer on their word alone."""
UNKNOWN_RESET_WAIT = 1.0
"""Seconds to wait where nothing is left and no reset is told."""
TOKENS_NEEDED = 0.01
"""Share of a token limit that the next request is taken to need; what it will cost nobody knows before."""

_MOST = 1e15  # more than any limit; above it, floats lose units


class Headroom(NamedTuple):
    """What is left of an upstream's rate limits."""

    share: float
    """The smallest remaining/limit of all windows, 0 to 1."""
    wait: float | None
    """None as long as another request can be sent now, else seconds until the next one may be."""


class _Window(NamedTuple):
    """The names of the headers of one window."""

    remaining: str
    limit: str
    reset: str
    tokens: bool


_FIELD = "ratelimit"
"""The IETF draft's window in one header: `limit=100, remaining=0, reset=30`."""
_MEMBER = re.compile(r"(?:^|[;,\s])(limit|remaining|reset)\s*=\s*([0-9]{1,15})(?![0-9.])", re.IGNORECASE)


def _window(shape: str, *, tokens: bool = False) -> _Window:
    return _Window(shape.format("remaining"), shape.format("limit"), shape.format("reset"), tokens)


_WINDOWS = (
    _window("x-ratelimit-{}-requests"),  # OpenAI, Azure, Groq, xAI
    _window("x-ratelimit-{}-tokens", tokens=True),
    _window("anthropic-ratelimit-requests-{}"),
    _window("anthropic-ratelimit-tokens-{}", tokens=True),
    _window("anthropic-ratelimit-input-tokens-{}", tokens=True),
    _window("anthropic-ratelimit-output-tokens-{}", tokens=True),
    _window("x-ratelimit-{}"),  # one limit for all: Mistral, OpenRouter, gateways
    _window("ratelimit-{}"),
)
_NAMES = tuple((window.remaining, window) for window in _WINDOWS)  # a look-up per window, in the usual case


NAMES = frozenset({_FIELD, *(name for window in _WINDOWS for name in (window.remaining, window.limit, window.reset))})
"""The headers that are looked into."""


def headroom(headers: Mapping[str, str], in_flight: int, now: float) -> Headroom | None:
    """What is left of the rate limits that the headers tell; None when they say nothing that can be understood.

    `headers` is case-insensitive, or has lower-case names. `in_flight` are the requests that run at this upstream: the
    next one must fit in beside them. A window of requests with no more than these remaining, and a window of tokens
    with none, makes wait: `reset * needed / (limit - remaining)`, since the reset is when the bucket is full again (see
    the top of this file). The wait is `MIN_WAIT` to `MAX_WAIT`, and not longer than the reset (but for `MIN_WAIT`).
    Of several windows the longest wait counts, as all of them must let the request pass.
    """
    share = 2.0
    wait: float | None = None
    get = headers.get
    for name, window in _NAMES:
        if (told := get(name)) is None or (limit_told := get(window.limit)) is None:
            continue
        remaining, limit = _amount(told), _amount(limit_told)
        if 0 <= remaining <= limit <= _MOST and limit:
            share = min(share, remaining / limit)
            if remaining <= (0 if window.tokens else in_flight):
                needed = TOKENS_NEEDED * limit if window.tokens else in_flight + 1 - remaining
                wait = max(wait or 0.0, _wait(get(window.reset, ""), needed, limit - remaining, now))
    if (told := get(_FIELD)) is not None and (members := _members(told)) is not None:
        remaining, limit, reset = members
        share = min(share, remaining / limit)
        if remaining <= in_flight:
            wait = max(wait or 0.0, _wait(reset, in_flight + 1 - remaining, limit - remaining, now))
    return None if share > 1 else Headroom(share, wait)


def _members(text: str) -> tuple[float, float, str] | None:
    """What remains, the limit and the reset in the header `ratelimit`."""
    members = {name.lower(): number for name, number in _MEMBER.findall(text[:256])}
    remaining, limit = _amount(members.get("remaining", "")), _amount(members.get("limit", ""))
    return (remaining, limit, members.get("reset", "")) if 0 <= remaining <= limit and limit else None


def _amount(text: str) -> float:
    """The number in a header, -1 if there is none; NaN and infinity are for the caller's comparisons to refuse."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        # The IETF draft lets the policies follow: `100, 100;w=60`.
        return float(text[:64].partition(",")[0])
    except ValueError:
        return -1.0


def _wait(reset_text: str, needed: float, missing: float, now: float) -> float:
    """Seconds until `needed` has flowed into a window that is full after the reset, when `missing` will be there."""
    reset = moment(reset_text, now)
    if reset is None:
        return UNKNOWN_RESET_WAIT
    # More than the whole limit never fits at once: then the best moment is when the window is full.
    flowing = reset * needed / missing if needed < missing else reset
    return min(max(flowing, MIN_WAIT), MAX_WAIT)
