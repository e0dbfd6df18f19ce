"""How long an upstream asks to be left alone: every spelling of "try again later", as seconds from now.

The hints are read from the most to the least exact: headers made for it, Gemini's RetryInfo and its like in the body,
the reset times of rate limits, and at last the words of the message. What cannot be a wait (negative, not finite, not a
number, absurdly long text) says nothing, and the next hint is asked. A time in the past is a wait of 0. No wait is
longer than `MAX_WAIT`; how much of it is honoured is for the pool to decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from proxy.dialects.error_text import ErrorText, read_error

MAX_WAIT = 31 * 86400.0
"""Seconds; longer waits are cut to this. The longest real window is a month, of quotas."""

_DIRECT: tuple[tuple[str, float], ...] = (
    ("retry-after-ms", 0.001),  # OpenAI, Azure; the SDKs of OpenAI and Anthropic read it first
    ("x-ms-retry-after-ms", 0.001),  # other Azure services, and API Management in front of models
    ("retry-after", 1.0),  # RFC 9110: seconds or a date; some send fractions
)
"""Headers that name the wait itself, and the seconds in their unit."""

_FACTS: tuple[tuple[str, float], ...] = (
    ("retryDelay", 1.0),  # google.rpc.RetryInfo, "34s"
    ("retry_after_ms", 0.001),
    ("retry_after_seconds", 1.0),  # OpenRouter's metadata
    ("retry_after", 1.0),
)
"""Members of an error's objects that name the wait."""

_RESET = re.compile(r"rate-?limit.*reset", re.IGNORECASE)
"""Names of headers that say when a limit resets, such as `x-ratelimit-reset-tokens`, `ratelimit-reset`,
`anthropic-ratelimit-tokens-reset`, `x-ratelimit-reset-requests-day`, `ratelimitbysize-reset`."""

_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "milli": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_UNIT = r"(?:ms|milli|us|µs|ns|s|m|h|d)"
_ENDING = r"(?:econds?|ecs?|inutes?|ins?|ours?|rs?|ays?|s)?(?![a-z])"
_PIECE = re.compile(rf"({_AMOUNT})\s?({_UNIT}){_ENDING}", re.IGNORECASE)
_PIECES = rf"(?:{_AMOUNT}\s?{_UNIT}{_ENDING}(?:,? and |, | )?)+"
_DURATION = re.compile(_PIECES, re.IGNORECASE)
"""Go's durations (`1h2m3.5s`, `120ms`), and the same in English ("2 minutes and 5 seconds")."""
_TEXT = re.compile(
    r"\b(?:try|retry|retrying|again|wait|resets?|replenished|available)(?: again)?(?: at least)?(?: in| after| for)?:? "
    rf"(?P<wait>{_PIECES}|{_AMOUNT}(?=\s*(?:$|[.,;)!](?:\s|$)))|[0-9]{{1,3}}:[0-9]{{2}}:[0-9]{{2}})",
    re.IGNORECASE,
)
"""The wait in an error's message, as OpenAI, Groq, Azure, Gemini and Ollama's cloud put it."""
_TEXT_DATE = re.compile(
    r"\b(?:again|after|until|resets|access)(?: at| on)? "
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T| at | )([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
)
"""A date in the message, always UTC: "You will regain access on 2026-12-01 at 00:00 UTC" (Anthropic)."""
_CLOCK = re.compile(r"([0-9]{1,3}):([0-9]{2}):([0-9]{2})")
_LIMIT_ITEM = re.compile(r"(?:^|[;,\s])(r|t|remaining|reset)\s*=\s*([0-9]{1,12})", re.IGNORECASE)


def wait_hint(headers: Mapping[str, str], body: bytes, now: float) -> float | None:
    """Seconds (0 to `MAX_WAIT`) that the upstream asks to wait; None if it says nothing that can be understood.

    `headers` is case-insensitive, or has lower-case names. `body` is the error's body, in any shape. `now` is the wall
    clock in seconds since the epoch, for hints that are dates.
    """
    return wait_of(headers, read_error(body), now)


def wait_of(headers: Mapping[str, str], error: ErrorText, now: float) -> float | None:
    """`wait_hint` for an error whose body has been read already."""
    for name, unit in _DIRECT:
        if (wait := moment(headers.get(name, ""), now, unit)) is not None:
            return wait
    told = [moment(str(fact.get(name, "")), now, unit) for fact in error.facts for name, unit in _FACTS]
    # Several violated quotas each name a delay: only after the longest are all of them free again.
    if waits := [wait for wait in told if wait is not None]:
        return max(waits)
    wait = _reset(headers, now)
    for fact in error.facts if wait is None else ():
        # OpenRouter repeats the reset headers in the error's metadata.
        if wait is None and isinstance(inner := fact.get("headers"), dict):
            wait = _reset({str(name): str(value) for name, value in inner.items()}, now)
    return _in_words(error.message, now) if wait is None else wait


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """The wait that reset headers tell.

    A limit whose matching `remaining` is 0 is what refused the request: the longest of those counts, since all of them
    must be free. Resets of limits with something left say nothing of this refusal. Where no limit says what is left,
    the shortest counts: a wait that is too short costs one more refusal, one that is too long (the daily window's, when
    the minute's was hit) costs a good key for hours.
    """
    limits = list(_limits(headers, now))
    if exhausted := [wait for wait, left in limits if left is False]:
        return max(exhausted)
    return min((wait for wait, left in limits if left is None), default=None)


def _limits(headers: Mapping[str, str], now: float) -> Iterator[tuple[float, bool | None]]:
    """The limits that headers tell: seconds until the reset, and whether something is left (None: not said)."""
    lower = {name.lower(): value for name, value in headers.items() if "limit" in name.lower()}
    for name, value in lower.items():
        if name == "ratelimit":
            yield from _structured(value)
        elif _RESET.search(name) and (wait := moment(value, now)) is not None:
            # Anthropic's unified limits tell a status ("allowed", "rejected") instead of what is left.
            left = lower.get(name.replace("reset", "remaining"))
            status = lower.get(name.replace("reset", "status"))
            yield wait, _positive(left) if left is not None else None if status is None else status != "rejected"


def _structured(value: str) -> Iterator[tuple[float, bool | None]]:
    """The limits in a `ratelimit` header: `"a";r=0;t=30, "b";r=5;t=900`, or of old `limit=9, remaining=0, reset=30`."""
    text = value[:1024]
    for item in text.split(",") if ";" in text else [text]:
        members = {name.lower(): number for name, number in _LIMIT_ITEM.findall(item)}
        reset = members.get("t", members.get("reset"))
        left = members.get("r", members.get("remaining"))
        if reset is not None:
            yield min(float(reset), MAX_WAIT), None if left is None else _positive(left)


def _positive(text: str) -> bool | None:
    return float(text) > 0 if _NUMBER.fullmatch(text.strip()) else None


def moment(text: str, now: float, unit: float = 1.0) -> float | None:
    """Seconds from now of a number, a duration, a time since the epoch or a date; None if it is none of them."""
    text = text.strip().strip('"')
    if not text or len(text) > 64:
        return None
    if _NUMBER.fullmatch(text):
        return _number(float(text), now, unit)
    if _DURATION.fullmatch(text):
        return _sum(text)
    if (instant := _date(text)) is None:
        return None
    return min(max(instant - now, 0.0), MAX_WAIT)


def _number(value: float, now: float, unit: float) -> float:
    # Nobody asks for a wait of thirty years: such numbers are times since the epoch, in seconds or milliseconds.
    if value >= 1e11:
        return min(max(value / 1000 - now, 0.0), MAX_WAIT)
    if value >= 1e9 and unit == 1.0:
        return min(max(value - now, 0.0), MAX_WAIT)
    return min(value * unit, MAX_WAIT)


def _date(text: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 or HTTP date; dates without a zone are UTC."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = parse(text)
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _sum(text: str) -> float:
    pieces = (float(number) * _UNITS[unit.lower()] for number, unit in _PIECE.findall(text))
    return min(sum(pieces), MAX_WAIT)


def _in_words(message: str, now: float) -> float | None:
    found = _TEXT.search(message)
    if found is None:
        date = _TEXT_DATE.search(message)
        return moment(f"{date[1]}T{date[2]}", now) if date else None
    text = found["wait"].strip()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = map(int, clock.groups())
        return min(hours * 3600.0 + minutes * 60 + seconds, MAX_WAIT)
    return min(float(text), MAX_WAIT) if _NUMBER.fullmatch(text) else _sum(text)
