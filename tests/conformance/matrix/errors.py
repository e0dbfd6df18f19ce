"""Errors, each in the client's own shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from proxy.core.wire import Wire
from tests.conformance.matrix.arena import alone
from tests.conformance.matrix.cell import CASES, Case, Cell, Raised, case, is_estimated, is_whole, raised_by, trail
from tests.conformance.matrix.client import Ask

_WAIT = 7


class Told(NamedTuple):
    """What the client is told of an error."""

    status: int
    code: str | None
    wait: int | None = None
    should_retry: str | None = "false"


_NAMES: Mapping[int, str] = {400: "BadRequestError", 429: "RateLimitError", 502: "InternalServerError"}
_TYPES: Mapping[int, str] = {400: "invalid_request_error", 429: "rate_limit_error", 502: "api_error"}
FAILED = Told(502, "upstream_error")
ERRORS: Final[Mapping[str, tuple[str, str, Told]]] = MappingProxyType(
    {
        "rate_limited": (
            "a rate limit is told with its wait",
            f"429:retry_after={_WAIT}",
            Told(429, "rate_limit_exceeded", _WAIT, None),
        ),
        "overloaded": ("an upstream that has too much to do is told as failed", "overloaded", FAILED),
        "quota": ("so is one whose quota is used up", "quota", FAILED),
        "credit": ("so is one whose credit is used up", "credit", FAILED),
        "credential": ("so is one that does not take the key", "unauthorized", FAILED),
        "model_gone": ("so is one that does not know the model", "model_missing", FAILED),
        "context": (
            "a prompt that is too long is the client's error",
            "context",
            Told(400, "context_length_exceeded"),
        ),
        "content": ("so is a prompt that is not allowed", "content_filter", Told(400, None)),
        "caller": ("so is whatever else the upstream finds wrong with it", "400", Told(400, None)),
    }
)


def _error(name: str, fault: str, told: Told) -> Callable[[Cell], None]:
    def check(cell: Cell) -> None:
        cell.arena.inject(cell.upstream, fault)
        if cell.wire is Wire.COUNT_TOKENS:
            is_estimated(cell)
            return
        raised = raised_by(cell, alone(cell.upstream))
        assert (told.status, _NAMES[told.status]) == (raised.status, raised.name)
        in_its_shape(cell, raised, told)
        assert told.should_retry == raised.headers.get("x-should-retry")
        assert (None if told.wait is None else str(told.wait)) == raised.headers.get("retry-after")
        if told.wait is not None:
            assert told.wait * 1000 - 500 < int(raised.headers["retry-after-ms"]) <= told.wait * 1000
        assert "application/json" == raised.headers["content-type"]
        assert cell.upstream.name == raised.headers["x-holdfast-upstream"]
        attempts = raised.headers["x-holdfast-attempts"]
        assert ("2" if name == "overloaded" else "1") == attempts
        assert int(attempts) == len(cell.arena.received(cell.upstream))
        assert int(attempts) == trail(raised.headers).count(";o=")
        assert cell.arena.told.status == told.status

    return check


for _name, (_title, _fault, _told) in ERRORS.items():
    CASES[_name] = Case(_name, _title, _error(_name, _fault, _told))


def in_its_shape(cell: Cell, raised: Raised, told: Told) -> None:
    request_id = raised.headers["x-request-id"]
    error = raised.body["error"]
    assert error["message"]
    if cell.wire in {Wire.MESSAGES, Wire.COUNT_TOKENS}:
        assert {"type", "error", "request_id"} == set(raised.body)
        assert ("error", request_id) == (raised.body["type"], raised.body["request_id"])
        assert {"type", "message"} <= set(error) <= {"type", "message", "details"}
        assert _TYPES[told.status] == error["type"]
        code = error.get("details", {}).get("error_code")
    else:
        assert {"error"} == set(raised.body)
        assert {"message", "type", "param", "code"} == set(error)
        assert re.fullmatch("[a-z_]+_error|requests", error["type"])
        code = error["code"]
    assert code is None or not code.isdecimal()
    if told.code is not None:
        assert told.code == code


@case("a parameter that the model refuses is left out, and that is told")
def parameter(cell: Cell) -> None:
    name = "user" if cell.wire is Wire.EMBEDDINGS else "temperature"
    cell.arena.inject(cell.upstream, f"unsupported_parameter:param={name}")
    heard = cell.ask(Ask(temperature=0.5))
    is_whole(cell, heard)
    assert name in heard.headers["x-holdfast-dropped"].split(", ")
    assert "2" == heard.headers["x-holdfast-attempts"]
    again = cell.ask(Ask(temperature=0.5))
    assert name in again.headers["x-holdfast-dropped"].split(", ")
    assert "1" == again.headers["x-holdfast-attempts"]


@case("an empty answer is none")
def empty(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "empty")
    if cell.wire is Wire.COUNT_TOKENS:
        is_estimated(cell)
        return
    if cell.wire is Wire.COMPLETIONS and "as it is" == cell.upstream.way(cell.wire):
        # There may be nothing to add to a text.
        assert "" == cell.ask().text
        return
    raised = raised_by(cell, alone(cell.upstream))
    assert (502, "InternalServerError", "false") == (raised.status, raised.name, raised.headers.get("x-should-retry"))
    in_its_shape(cell, raised, FAILED)
    assert ";o=empty_answer;" in trail(raised.headers)
