"""What an upstream's error means: one failure, with its class, its wait, and what it says of the request.

Who says what is known elsewhere: `failure_rules.py` has providers' codes, wording and statuses, `refused_field.py` has
which fields may be left out of a request, and how the beginning of an answer is refused. The order in which they are
asked is in `_class_of`: codes are exact, wording is less so (and may quote the prompt), the status alone is always
enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.bound import BOUND, EXTENSIONS, IN_MESSAGES, misses_thoughts, refuses_bound, refuses_extensions
from proxy.dialects.context_hints import ContextHint, context_hint
from proxy.dialects.error_text import ErrorText, read_error
from proxy.dialects.failure_rules import (
    NO_STATUS,
    class_by_code,
    class_by_named_status,
    class_by_status,
    class_by_wording,
)
from proxy.dialects.refused_field import refused_field, refuses_prefill
from proxy.dialects.wait_hints import wait_of
from proxy.streams.resume import PREFILL

_C = FailureClass

IN_BAND = "in_band_error"
"""The trail code of an error inside a 200."""
MAX_MESSAGE = 500
"""Characters of `Failure.message`."""
_BAD = (400, 422, NO_STATUS)
_PREFILL_REFUSALS = (*_BAD, 500)  # older llama.cpp calls it an error of the server's
_BOUND_REFUSALS = (*_BAD, 404)  # OpenAI, of items that it does not keep
_WAITS = frozenset({_C.RATE_LIMITED, _C.OVERLOADED, _C.QUOTA})
_TELLING = re.compile("limit|retry|reset|errortype", re.IGNORECASE)
"""In the names of headers that may say something about a failure."""
_MOST_KNOWN = 256
_MOST_KNOWN_BYTES = 2048
_known: dict[tuple[str, int, bytes], Failure] = {}
"""Failures that say nothing of time, by kind, status and body: the last few."""
_OF_THIS_REQUEST = re.compile(r"unsupported value|.{0,120}\bexpected [`'\"]?thinking\b", re.IGNORECASE)
"""A field that is refused for what else the request holds says nothing about other requests."""
_OF_ONE = frozenset({BOUND, IN_MESSAGES})
_QUOTE = re.compile(r"""(?<!\w)(["'`“])[^"'`”]*? [^"'`”]*? [^"'`”]*(?:["'`”]|$)""")
_OWN_WORDS = 240
"""Characters at the beginning of a refusal that are taken for the upstream's own words rather than the prompt's."""


def classify(kind: str, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    """The failure that an answer other than 2xx is. Never raises, whatever the bytes.

    `kind` is the provider kind (`registry.py`), "" if unknown. `headers` is case-insensitive, or has lower-case names.
    `now` is the wall clock in seconds since the epoch, for hints that are dates. The code is `http_<status>`.
    """
    known = _known.get((kind, status, body)) if len(body) <= _MOST_KNOWN_BYTES else None
    if known is not None and not any(map(_TELLING.search, headers)):
        # In an outage, thousands of refusals are the same to the byte.
        return known
    failure = _classified(kind, status, headers, body, now)
    if failure.wait is None and len(body) <= _MOST_KNOWN_BYTES and not any(map(_TELLING.search, headers)):
        if len(_known) >= _MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[kind, status, body] = failure
    return failure


def _classified(kind: str, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    error = read_error(body, headers.get("x-amzn-errortype", ""))
    failure_class, field = _class_of(kind, status, error)
    if failure_class is _C.QUOTA and status == 402 and "retry-after" in headers:
        # OpenRouter: a budget of requests in flight, which frees itself. Credit that is used up names no wait.
        failure_class = _C.RATE_LIMITED
    wait = wait_of(headers, error, now) if failure_class in _WAITS else None
    return _failure(failure_class, f"http_{status}", status, error, field, _reset_of_day(error, wait, now))


def classify_in_band(kind: str, error: bytes, now: float) -> Failure:
    """The failure that an error inside a 200 is: `error` is the JSON of the whole event or body. Never raises.

    What is recognised gets its class, everything else is BAD_ANSWER; the code is `in_band_error` for all. The status is
    the one that the error names itself, since the real one is 200.
    """
    text = read_error(error)
    failure_class, field = _class_of(kind, NO_STATUS, text)
    wait = wait_of({}, text, now) if failure_class in _WAITS else None
    if not text.told:
        text = ErrorText("the upstream ended its answer with an error")
    return _failure(failure_class, IN_BAND, text.status, text, field, _reset_of_day(text, wait, now))


def _class_of(kind: str, status: int, error: ErrorText) -> tuple[FailureClass, str | None]:
    """The class, and the optional field that was refused, or `PREFILL`, if it is PARAMETER_UNSUPPORTED.

    Codes before wording, since a message may quote the prompt ("429", "rate limit": litellm#11455); a refused field
    before wording, since its message names nothing else; wording before the status, since providers send 400 and 429
    for too many things; and only the wording of an error object, never that of a page.
    """
    if error.told:
        if found := class_by_code(kind, status, error.names):
            return found, None
        if status in _PREFILL_REFUSALS and refuses_prefill(error):
            return _C.PARAMETER_UNSUPPORTED, PREFILL
        if status in _BAD and misses_thoughts(error):
            return _C.PARAMETER_UNSUPPORTED, IN_MESSAGES
        if status in _BOUND_REFUSALS and refuses_bound(error):
            return _C.PARAMETER_UNSUPPORTED, BOUND
        if status in _BAD and refuses_extensions(error):
            return _C.PARAMETER_UNSUPPORTED, EXTENSIONS
        if status in _BAD and (field := refused_field(error)):
            return _C.PARAMETER_UNSUPPORTED, field
    elif status == 403:
        # A page instead of an error: a firewall disliked one request, which says nothing about the key.
        return _C.UNKNOWN, None
    words = _own_words(error.message.lower(), status) if error.told else ""
    if found := class_by_wording(kind, status, error.names, words):
        return found, None
    return class_by_named_status(error.status) if status == NO_STATUS else class_by_status(status), None


def _own_words(message: str, status: int) -> str:
    """The part of a message that is the upstream's own: one that refuses the request itself may quote it."""
    return _QUOTE.sub(" ", message)[:_OWN_WORDS] if status in _BAD else message


def _reset_of_day(error: ErrorText, wait: float | None, now: float) -> float | None:
    """The wait; for Gemini's daily quotas at least until midnight in California, which its own hint ignores."""
    if "quota_per_day" not in error.names:
        return wait
    # 08:00 UTC; in summer an hour too late, which is harmless, since a probe may find out earlier.
    return max(wait or 0.0, (8 * 3600 - now) % 86400)


def _failure(
    kind: FailureClass, code: str, status: int | None, error: ErrorText, field: str | None, wait: float | None
) -> Failure:
    message = error.message[:MAX_MESSAGE].rstrip()
    hint = context_hint(error) if kind is _C.CONTEXT_TOO_LONG else ContextHint()
    return Failure(
        kind,
        code,
        message,
        status,
        wait,
        param=field or error.param,
        value_only=field in _OF_ONE or "unsupported_value" in error.names or bool(_OF_THIS_REQUEST.match(message)),
        error_type=error.type,
        error_code=error.code,
        prompt=hint.prompt,
        window=hint.window,
    )
