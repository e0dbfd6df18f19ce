"""The catalogue of faults: their names, what each does on the wire, and the parameters that it reads.

A *fault* is what the simulator does on purpose (a *failure* is what the proxy makes of it). A fault is written as a
text (``stall``, ``cut:after=9,times=1``, ``503``, ``429:retry_after=2,form=ms``, ``flapping:inner=stall,after=3``) or
as a mapping (``{"fault": "stall", "after": 9}``). Nothing here touches time, luck or sockets.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

Scope = Literal["connection", "refusal", "answer", "wrapper"]

WAIT_FORMS = ("seconds", "float", "http_date", "ms", "gemini", "openai_reset", "anthropic_reset", "none")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with its parameters; each fault reads only those that its catalogue row lists."""

    name: str
    after: int = 5
    """Content chunks (one word each) that are sent well before the fault."""
    seconds: float = 5.0
    """How long the slow faults take, in seconds."""
    interval: float = 0.1
    """Pause between the pieces of a fault that never ends, in seconds."""
    status: int = 503
    """HTTP status of a plain error answer, 400 to 599; of errors inside a 200, the status that they would have had."""
    reason: str = "error"
    """Finish reason, in the upstream's own word."""
    retry_after: float | None = None
    """Wait hint in seconds; without it a 429 hints 2 s and any other status hints nothing."""
    form: str = "seconds"
    """How the wait hint is spelled, one of `WAIT_FORMS`; ``none`` sends no hint."""
    size: int = 1 << 20
    """Bytes of the oversized, random or split part."""
    share: float = 0.5
    """Share of a JSON body that is sent before the fault, 0 to 1."""
    how: str = "reset"
    """How a connection is broken off: ``reset`` (TCP RST) or ``close`` (FIN)."""
    param: str = "temperature"
    """Request field that the upstream does not support."""
    limit: int = 0
    """`context`: prompts of more tokens (words) than this are too long; 0 refuses every prompt. `low_headroom`: the
    requests of a full rate limit."""
    remaining: int = 5
    """Requests that are left of a rate limit when the fault is injected."""
    reset: float = 10.0
    """Seconds until a spent rate limit is full again."""
    refill: str = "at_once"
    """How it gets full: ``at_once`` when the `reset` has passed (windows that follow each other from the first request
    on), or ``steady`` all the time (a token bucket)."""
    factor: float = 10.0
    """How many times as long a slower answer takes; without a pace, all answers are instant."""
    location: str = "http://127.0.0.1:9/v1/chat/completions"
    """Where a redirect points to."""
    broken: float = 5.0
    """Seconds of each round in which a flapping upstream is broken; a round starts broken."""
    healthy: float = 5.0
    """Seconds of each round in which a flapping upstream is healthy."""
    inner: Fault | None = None
    """The fault that `flapping` and `random` switch on and off."""
    times: int | None = None
    """How many chat requests are hit before the fault heals by itself; None is without end."""
    lasts: float | None = None
    """Seconds after which the fault heals by itself; None is without end."""
    probability: float = 1.0
    """Chance of each chat request to be hit, 0 to 1, drawn from the simulator's seed."""

    def as_dict(self) -> dict[str, object]:
        """The mapping that `parse_fault` reads back as this fault."""
        shown: dict[str, object] = {"fault": self.name}
        row = FAULTS[self.name]
        for name in _readable(row):
            value = getattr(self, name)
            usual = name in COMMON and value == row.defaults.get(name, value) == _DEFAULTS[name]
            if isinstance(value, Fault):
                shown[name] = value.as_dict()
            elif value is not None and not usual:
                shown[name] = value
        if self.name == "status":
            shown["fault"] = str(shown.pop("status"))
        return shown

    def __str__(self) -> str:
        """The text that `parse_fault` reads back as this fault, without what it would add by itself."""
        shown = self.as_dict()
        inner = self.inner.as_dict() if self.inner else {}
        name = shown.pop("fault")
        if inner:
            shown.update({"inner": inner.pop("fault"), **inner})
        plain = {**_DEFAULTS, **FAULTS[self.name].defaults, **(FAULTS[self.inner.name].defaults if self.inner else {})}
        told = ",".join(f"{key}={value}" for key, value in shown.items() if value != plain[key])
        return f"{name}:{told}" if told else str(name)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the catalogue; `defaults` are the parameters whose default differs from `Fault`'s."""

    summary: str
    scope: Scope = "answer"
    """What it hits: ``answer`` faults hit chat requests only, ``connection`` and ``refusal`` faults every path."""
    parameters: tuple[str, ...] = ()
    defaults: Mapping[str, object] = field(default_factory=dict)


COMMON = ("times", "lasts", "probability")
_DEFAULTS: dict[str, object] = {spec.name: spec.default for spec in fields(Fault)}
_AFTER = ("after", "share")
_SERVER = {"status": 500}

FAULTS: Mapping[str, Row] = {
    # The connection.
    "refuse": Row("the port is closed: connections are refused, idle ones dropped", "connection"),
    "reset": Row("TCP reset before any byte of the answer", "connection"),
    "reset_after_headers": Row("TCP reset right after the headers of a 200", "connection"),
    "close": Row("connection closed before any byte of the answer", "connection"),
    "hang": Row("the request is read and never answered", "connection"),
    "stale": Row(
        "answers well, but closes a kept-alive connection on its next request", "connection", ("how",), {"how": "close"}
    ),
    # Refusals: a status and a body.
    "status": Row(
        "a plain error status; the number alone, such as 503, is short for it",
        "refusal",
        ("status", "retry_after", "form"),
    ),
    "429": Row("rate limited, with the wait hint in any provider's spelling", "refusal", ("retry_after", "form")),
    "unauthorized": Row("401 invalid_api_key", "refusal"),
    "credit": Row("402, the balance is used up", "refusal"),
    "quota": Row("429 insufficient_quota: waiting does not help", "refusal"),
    "context": Row("400 context_length_exceeded when the prompt is longer than `limit`", "refusal", ("limit",)),
    "content_filter": Row("400 content_filter, as Azure says it", "refusal"),
    "unsupported_parameter": Row("400 that names `param`, until a request comes without it", "refusal", ("param",)),
    "refuse_prefill": Row("400 when the last message is the assistant's", "refusal"),
    "model_missing": Row("404 model_not_found", "refusal"),
    "overloaded": Row("529 overloaded_error", "refusal", ("retry_after", "form")),
    "html_502": Row("502 with an HTML page of a load balancer", "refusal"),
    "redirect": Row("307 to another address", "refusal", ("location",)),
    # Slow or silent.
    "slow_headers": Row("nothing for `seconds`, then a good answer", parameters=("seconds",)),
    "slow_first_token": Row(
        "headers and role at once, `seconds` before the first word, then good", parameters=("seconds",)
    ),
    "slow_body": Row("a good body, dripped evenly over `seconds`", parameters=("seconds",)),
    "slower": Row(
        "good, but `factor` times slower than its pace; with a probability, a slow tail", parameters=("factor",)
    ),
    "role_then_silence": Row("headers and the role chunk, then silence"),
    "pings": Row("comments (JSON: blank lines) for ever, never content", parameters=("interval",)),
    "empty_deltas": Row("chunks without content for ever", parameters=("interval",)),
    "stall": Row("silence after some words (JSON: after a share of the body)", parameters=_AFTER),
    "endless": Row("content that never ends", parameters=("interval",), defaults={"interval": 0.01}),
    # Broken off.
    "cut": Row("connection broken after some words (JSON: after a share of the body)", parameters=(*_AFTER, "how")),
    "cut_clean": Row("body ends cleanly after some words: no finish_reason, no [DONE]", parameters=_AFTER),
    "truncated_json": Row("well-framed body whose (last) JSON document is cut in the middle", parameters=("share",)),
    "no_done": Row("finish_reason, but no [DONE] (JSON is answered well)"),
    "no_done_hang": Row("finish_reason, no [DONE], connection left open (JSON is answered well)"),
    # Wrong content.
    "malformed": Row(
        "one event of broken JSON after some words, then on as if nothing were (JSON: invalid)", parameters=("after",)
    ),
    "error_first": Row(
        "200 whose first event is an error, then the end (JSON: as error_200)", parameters=("status",), defaults=_SERVER
    ),
    "error_later": Row(
        "error event after some words, then the end (JSON: as error_200)",
        parameters=("after", "status"),
        defaults=_SERVER,
    ),
    "error_then_done": Row(
        "error event after some words, then [DONE], as vLLM (JSON: as error_200)",
        parameters=("after", "status"),
        defaults=_SERVER,
    ),
    "error_field": Row(
        "SSE field `error:` after some words, then [DONE], as llama.cpp (JSON: as error_200)",
        parameters=("after",),
        defaults=_SERVER,
    ),
    "error_200": Row(
        '200 with the JSON document {"error": ...}, also to a stream request', parameters=("status",), defaults=_SERVER
    ),
    "empty": Row("a complete answer without content, finish_reason stop"),
    "empty_body": Row("200 with no body at all"),
    "garbage": Row("200 with random bytes under the right content type", parameters=("size",), defaults={"size": 512}),
    "wrong_type": Row("200 with an HTML page"),
    "content_filter_finish": Row("ends after some words with finish_reason content_filter", parameters=("after",)),
    "finish": Row(
        "ends after some words with the finish reason `reason`, word for word", parameters=("after", "reason")
    ),
    # Good answers in unusual spellings.
    "gzip": Row("good answer, gzip-encoded whether asked for or not"),
    "huge_headers": Row("good answer behind a header of `size` bytes", parameters=("size",)),
    "crlf": Row("good stream with CRLF line ends"),
    "cr_only": Row("good stream with bare CR line ends"),
    "comments": Row("good stream with comments, event, id and retry fields"),
    "bom": Row("good stream (or JSON) that starts with a byte order mark"),
    "multiline": Row("good stream whose events spread over several data lines"),
    "split_utf8": Row(
        "good answer in CJK and emoji, written `size` bytes at a time", parameters=("size",), defaults={"size": 1}
    ),
    "surrogates": Row(
        "good stream in CJK and emoji, with each emoji cut between its UTF-16 escapes (JSON is answered well)"
    ),
    "big_event": Row("good answer with one event (JSON: string) of `size` bytes", parameters=("size",)),
    "low_headroom": Row(
        "good answers whose rate limit headers count down from `remaining` of `limit`, then 429 until the reset",
        parameters=("remaining", "limit", "reset", "refill"),
        defaults={"limit": 60},
    ),
    # Luck and time around another fault.
    "flapping": Row(
        "`inner` for `broken` seconds, good for `healthy` seconds, repeating", "wrapper", ("inner", "broken", "healthy")
    ),
    "random": Row("`inner` with a probability", "wrapper", ("inner",), {"probability": 0.5}),
}

# Lowest and highest value of each number.
_INTEGERS = {
    "after": (0, 10**9),
    "status": (400, 599),
    "size": (1, 1 << 30),
    "limit": (0, 10**9),
    "remaining": (0, 10**9),
    "times": (1, 10**9),
}
_FLOATS = {
    "seconds": (0.0, 1e6),
    "interval": (0.0, 1e6),
    "retry_after": (0.0, 1e9),
    "share": (0.0, 1.0),
    "reset": (0.001, 1e6),
    "factor": (1.0, 1e6),
    "broken": (0.0, 1e6),
    "healthy": (0.0, 1e6),
    "lasts": (0.0, 1e9),
    "probability": (0.0, 1.0),
}
_CHOICES = {"form": WAIT_FORMS, "how": ("reset", "close"), "refill": ("at_once", "steady")}


def parse_fault(spec: Mapping[str, object] | str) -> Fault:
    """The fault that a text or a mapping describes.

    Raises ValueError with the nearest name when the fault, a parameter or a value is unknown.
    """
    name, values = _split_text(spec) if isinstance(spec, str) else _split_mapping(spec)
    if name.isdecimal() and name not in FAULTS:
        name, values = "status", {"status": name, **values}
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}{nearest(name, FAULTS)}")
    row = FAULTS[name]
    if row.scope == "wrapper":
        values = _wrap(name, row, values)
    unread = [key for key in values if key not in _readable(row)]
    if unread:
        raise ValueError(f"fault {name!r} reads no parameter {unread[0]!r}{nearest(unread[0], _readable(row))}")
    read = {key: _value(key, value) for key, value in {**row.defaults, **values}.items()}
    return replace(Fault(name), **read)  # type: ignore[arg-type]  # _value gives each field its own type


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"


def _readable(row: Row) -> tuple[str, ...]:
    # A closed port sees no requests, so there is nothing to count or to draw for.
    return (*row.parameters, "lasts") if row is FAULTS["refuse"] else (*row.parameters, *COMMON)


def _split_text(text: str) -> tuple[str, dict[str, object]]:
    name, _, rest = text.partition(":")
    values: dict[str, object] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"in fault {text!r}: {item!r} is not of the form parameter=value")
        values[key.strip()] = value.strip()
    return name.strip(), values


def _split_mapping(spec: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    values = {str(key): value for key, value in spec.items()}
    name = values.pop("fault", values.pop("name", None))
    if not isinstance(name, (str, int)) or isinstance(name, bool):
        # One kind of exception for every misuse, as the control API reports it.
        raise ValueError(  # noqa: TRY004
            f"a fault needs a name, such as {{'fault': 'stall'}}; got {dict(spec)!r}"
        )
    written, more = _split_text(str(name))
    return written, {**more, **values}


def _wrap(name: str, row: Row, values: Mapping[str, object]) -> dict[str, object]:
    """Build the inner fault; parameters that the wrapper does not read are its inner fault's."""
    inner = values.get("inner")
    if inner is None:
        raise ValueError(f"fault {name!r} needs the parameter inner, such as {name}:inner=503")
    own = {key: value for key, value in values.items() if key in _readable(row) and key != "inner"}
    rest = {key: value for key, value in values.items() if key not in _readable(row)}
    spec = inner.as_dict() if isinstance(inner, Fault) else inner
    inner_name, inner_values = _split_mapping(spec if isinstance(spec, dict) else {"fault": spec})
    if inner_name in FAULTS and FAULTS[inner_name].scope == "wrapper":
        raise ValueError(f"fault {name!r} cannot hold {inner_name!r}; one level of luck is enough")
    built = parse_fault({**inner_values, **rest, "fault": inner_name})
    if name == "random" and built.name == "refuse":
        raise ValueError(
            "a port cannot be closed for a single request; use random:inner=reset or flapping:inner=refuse"
        )
    if any(getattr(built, key) != _DEFAULTS[key] for key in COMMON):
        raise ValueError(f"give {', '.join(COMMON)} to {name!r}, not to its inner fault")
    return {**own, "inner": built}


def _value(name: str, value: object) -> object:
    if value is None and _DEFAULTS[name] is None:
        return None
    if name in _INTEGERS:
        return _integer(name, value)
    if name in _FLOATS:
        return _float(name, value)
    if name == "inner":
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text, got {value!r}")
    choices = _CHOICES.get(name)
    if choices and value not in choices:
        raise ValueError(f"{name} has no value {value!r}{nearest(value, choices)}")
    return value


def _integer(name: str, value: object) -> int:
    low, high = _INTEGERS[name]
    number = _float_or_none(value)
    if number is None or not number.is_integer() or not low <= number <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return int(number)


def _float(name: str, value: object) -> float:
    low, high = _FLOATS[name]
    number = _float_or_none(value)
    if number is None or not low <= number <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
    return number


def _float_or_none(value: object) -> float | None:
    """The finite number that a JSON value or a text holds."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
