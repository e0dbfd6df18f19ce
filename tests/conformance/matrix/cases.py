"""The rows: what is tried in every pair of a client and an upstream, and what the client has to hear then."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import anthropic
import openai

from proxy.core.wire import Wire
from tests.conformance.matrix.arena import ANSWER, REFUSAL, THINKING, Arena, alone, backed, held, last
from tests.conformance.matrix.client import Ask, Client, Heard
from tests.conformance.matrix.upstreams import UPSTREAMS, Upstream, all_before, next_to

CAP = 16
"""Tokens; the least that OpenAI takes for a response."""
_IDS = {Wire.RESPONSES: "resp_", Wire.MESSAGES: "msg_"}
_WAIT = 7


class Cell(NamedTuple):
    """One field of the table, in action."""

    arena: Arena
    client: Client
    upstream: Upstream

    def ask(self, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        """Of this upstream alone."""
        return self.client.ask(alone(self.upstream), asked)

    @property
    def wire(self) -> Wire:
        return self.client.wire

    @property
    def leads(self) -> bool:
        """Whether no other upstream before this one is asked in the same way and language: others need not try all."""
        mine = (self.upstream.language, self.upstream.way(self.wire))
        alike = [each for each in UPSTREAMS if (each.language, each.way(self.wire)) == mine]
        return alike[0] == self.upstream


class Case(NamedTuple):
    """One row."""

    name: str
    title: str
    """What is so where the table says yes."""
    check: Callable[[Cell], None]
    streams: bool = False
    """Whether it is about streams only."""


CASES: Final[dict[str, Case]] = {}


def _case(title: str, *, streams: bool = False) -> Callable[[Callable[[Cell], None]], Callable[[Cell], None]]:
    def add(check: Callable[[Cell], None]) -> Callable[[Cell], None]:
        CASES[check.__name__] = Case(check.__name__, title, check, streams)
        return check

    return add


# Answers.


@_case("an answer comes whole, with its usage, in one message of the client's language")
def text(cell: Cell) -> None:
    heard = cell.ask()
    _is_whole(cell, heard)
    headers = heard.headers
    streamed = "text/event-stream; charset=utf-8" if cell.client.streams else "application/json"
    assert streamed == headers["content-type"]
    assert alone(cell.upstream) == headers["x-holdfast-route"]
    assert headers["x-request-id"].startswith("req_")
    told = cell.arena.told
    assert (200, "ok") == (told.status, told.outcome)
    if cell.wire is Wire.COUNT_TOKENS:
        assert (cell.upstream.way(cell.wire) == "estimated") is (headers["x-holdfast-reason"] == "estimated")
        return
    assert (cell.upstream.name, cell.upstream.model) == (
        headers["x-holdfast-upstream"],
        headers["x-holdfast-model"],
    )
    assert re.fullmatch(re.escape(f"{cell.upstream.name}/{cell.upstream.model}") + ";o=ok;ms=[0-9]+", _trail(headers))
    assert "1" == headers["x-holdfast-attempts"]
    (asked,) = cell.arena.received(cell.upstream)
    assert "unused" not in str(asked.headers)
    assert [] == [name for name in asked.headers if name.lower().startswith(("x-stainless", "x-holdfast"))]
    own = cell.upstream.kind.paths.get(cell.wire)
    if cell.upstream.way(cell.wire) == "as it is":
        assert own is not None
        assert own in asked.path
        assert "Be brief." in asked.body.decode() or cell.wire in {Wire.COMPLETIONS, Wire.EMBEDDINGS}
    else:
        assert own is None or own not in asked.path or cell.wire is Wire.CHAT


@_case("an answer that reaches its cap says so")
def length(cell: Cell) -> None:
    cell.arena.voice(answer=f"{ANSWER} {ANSWER}")
    heard = cell.ask(Ask(cap=CAP))
    assert " ".join(f"{ANSWER} {ANSWER}".split()[:CAP]) == heard.text
    assert cell.client.finishes["length"] == heard.finish


@_case("a stop sequence ends an answer")
def stopped(cell: Cell) -> None:
    heard = cell.ask(Ask(stop="meets"))
    assert ANSWER.partition(" meets")[0] == heard.text.rstrip()
    if cell.wire is Wire.MESSAGES and heard.finish == "stop_sequence":
        assert "meets" == heard.stopped_by
    else:
        assert cell.client.finishes["stop"] == heard.finish


@_case("two answers to one question")
def two_answers(cell: Cell) -> None:
    cell.arena.voice(answer=None)
    heard = cell.ask(Ask(answers=2))
    assert 2 == heard.answers


@_case("an image reaches the model")
def image(cell: Cell) -> None:
    if cell.wire is Wire.COUNT_TOKENS:
        _counts_more(cell, Ask(image=True))
        return
    cell.arena.voice(answer="There are {images} of them.")
    assert "There are 1 of them." == cell.ask(Ask(image=True)).text


@_case("two calls at once, their results in the next request, and the answer to those")
def tools(cell: Cell) -> None:
    if cell.wire is Wire.COUNT_TOKENS:
        _counts_more(cell, Ask(tools=True))
        return
    cell.arena.voice(tool_calls=2)
    # Where somebody else could be asked, calls are held back until they are complete.
    called = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True))
    assert [("weather", {"city": "simulated"}), ("news", {"city": "simulated"})] == [one[1:] for one in called.calls]
    assert 2 == len({one.id for one in called.calls})
    assert all(one.id for one in called.calls)
    assert cell.client.finishes["tools"] == called.finish
    assert "" == called.text
    _is_whole(cell, cell.ask(Ask(tools=True, answered=called)))
    sent = cell.arena.received(cell.upstream)[-1].body.decode()
    assert all(f"{name} is fine" in sent for name in ("weather", "news"))


@_case("thoughts before calls go back with the results")
def thoughtful_tools(cell: Cell) -> None:
    cell.arena.voice(tool_calls=2, reasoning=THINKING)
    called = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True, reasoning=True))
    assert THINKING == called.reasoning
    assert ["weather", "news"] == [one.name for one in called.calls]
    heard = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True, reasoning=True, answered=called))
    _is_whole(cell, heard)
    assert "1" == heard.headers["x-holdfast-attempts"]


@_case("an answer that is nothing but one call")
def one_call(cell: Cell) -> None:
    cell.arena.voice(tool_calls=1)
    for route in (alone(cell.upstream), backed(cell.upstream, cell.wire), held(cell.upstream)):
        called = cell.client.ask(route, Ask(tools=True))
        assert [("weather", {"city": "simulated"})] == [one[1:] for one in called.calls]
        assert cell.client.finishes["tools"] == called.finish
        assert cell.upstream.name == called.headers["x-holdfast-upstream"]


@_case("an answer that is bound to a JSON schema keeps to it")
def structured(cell: Cell) -> None:
    for route in (alone(cell.upstream), held(cell.upstream)):
        heard = cell.client.ask(route, Ask(schema=True))
        assert {"city": {"city": "simulated"}, "days": 1} == json.loads(heard.text)
        assert cell.client.finishes["stop"] == heard.finish
        assert cell.upstream.name == heard.headers["x-holdfast-upstream"]


@_case("reasoning is shown where the client's language has a place for it")
def reasoning(cell: Cell) -> None:
    cell.arena.voice(reasoning=THINKING)
    heard = cell.ask(Ask(reasoning=True))
    assert THINKING == heard.reasoning
    _is_whole(cell, heard)


@_case("a model that refuses to answer is heard to refuse")
def refusal(cell: Cell) -> None:
    cell.arena.voice(refusal=REFUSAL)
    heard = cell.ask()
    # Languages without a word for it have to tell it as a text.
    assert cell.client.finishes["refusal"] == heard.finish or REFUSAL in {heard.refusal, heard.text}
    assert heard.text in {"", REFUSAL}


@_case("an answer that a filter cuts short says so")
def filtered(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "content_filter_finish:after=4")
    heard = cell.ask()
    # The SDK's own helpers raise, and give nothing of the answer.
    assert "The river turns twice" == heard.text or cell.client.name.startswith("chat helper")
    assert cell.client.finishes["refusal"] == heard.finish


# Errors.


class Told(NamedTuple):
    """What the client is told of an error."""

    status: int
    code: str | None
    wait: int | None = None
    should_retry: str | None = "false"


class Raised(NamedTuple):
    """What an SDK raised, as far as both have it."""

    status: int
    headers: Mapping[str, str]
    body: Any
    name: str


_NAMES: Mapping[int, str] = {400: "BadRequestError", 429: "RateLimitError", 502: "InternalServerError"}
_TYPES: Mapping[int, str] = {400: "invalid_request_error", 429: "rate_limit_error", 502: "api_error"}
_FAILED = Told(502, "upstream_error")
ERRORS: Final[Mapping[str, tuple[str, str, Told]]] = MappingProxyType(
    {
        "rate_limited": (
            "a rate limit is told with its wait",
            f"429:retry_after={_WAIT}",
            Told(429, "rate_limit_exceeded", _WAIT, None),
        ),
        "overloaded": ("an upstream that has too much to do is told as failed", "overloaded", _FAILED),
        "quota": ("so is one whose quota is used up", "quota", _FAILED),
        "credit": ("so is one whose credit is used up", "credit", _FAILED),
        "credential": ("so is one that does not take the key", "unauthorized", _FAILED),
        "model_gone": ("so is one that does not know the model", "model_missing", _FAILED),
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
            _is_estimated(cell)
            return
        raised = _raised(cell, alone(cell.upstream))
        assert (told.status, _NAMES[told.status]) == (raised.status, raised.name)
        _in_its_shape(cell, raised, told)
        assert told.should_retry == raised.headers.get("x-should-retry")
        assert (None if told.wait is None else str(told.wait)) == raised.headers.get("retry-after")
        if told.wait is not None:
            assert told.wait * 1000 - 500 < int(raised.headers["retry-after-ms"]) <= told.wait * 1000
        assert "application/json" == raised.headers["content-type"]
        assert cell.upstream.name == raised.headers["x-holdfast-upstream"]
        attempts = raised.headers["x-holdfast-attempts"]
        assert ("2" if name == "overloaded" else "1") == attempts
        assert int(attempts) == len(cell.arena.received(cell.upstream))
        assert int(attempts) == _trail(raised.headers).count(";o=")
        assert cell.arena.told.status == told.status

    return check


for _name, (_title, _fault, _told) in ERRORS.items():
    CASES[_name] = Case(_name, _title, _error(_name, _fault, _told))


def _in_its_shape(cell: Cell, raised: Raised, told: Told) -> None:
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


@_case("a parameter that the model refuses is left out, and that is told")
def parameter(cell: Cell) -> None:
    name = "user" if cell.wire is Wire.EMBEDDINGS else "temperature"
    cell.arena.inject(cell.upstream, f"unsupported_parameter:param={name}")
    heard = cell.ask(Ask(temperature=0.5))
    _is_whole(cell, heard)
    assert name in heard.headers["x-holdfast-dropped"].split(", ")
    assert "2" == heard.headers["x-holdfast-attempts"]
    again = cell.ask(Ask(temperature=0.5))
    assert name in again.headers["x-holdfast-dropped"].split(", ")
    assert "1" == again.headers["x-holdfast-attempts"]


@_case("an empty answer is none")
def empty(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "empty")
    if cell.wire is Wire.COUNT_TOKENS:
        _is_estimated(cell)
        return
    if cell.wire is Wire.COMPLETIONS and "as it is" == cell.upstream.way(cell.wire):
        # There may be nothing to add to a text.
        assert "" == cell.ask().text
        return
    raised = _raised(cell, alone(cell.upstream))
    assert (502, "InternalServerError", "false") == (raised.status, raised.name, raised.headers.get("x-should-retry"))
    _in_its_shape(cell, raised, _FAILED)
    assert ";o=empty_answer;" in _trail(raised.headers)


# More than one.


@_case("an error in place of an answer is not seen: an upstream of another language answers")
def in_band(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "error_first")
    heard = cell.client.ask(backed(cell.upstream, cell.wire))
    _is_whole(cell, heard, next_to(cell.upstream, cell.wire))


@_case("whatever an upstream refuses that another may take is answered by another, of another language")
def elsewhere(cell: Cell) -> None:
    names = ("rate_limited", "overloaded", "quota", "credit", "credential", "model_gone", "context")
    for name in names if cell.leads else names[-1:]:
        _, fault, _ = ERRORS[name]
        cell.arena.inject(cell.upstream, fault)
        heard = cell.client.ask(backed(cell.upstream, cell.wire))
        _is_whole(cell, heard, next_to(cell.upstream, cell.wire))
        cell.arena.clean()


@_case("the last of a chain of all languages answers, whatever goes wrong with those before it")
def chain(cell: Cell) -> None:
    nothing = "garbage" if cell.wire is Wire.COMPLETIONS else "empty"
    faults = ("503", nothing, "unauthorized", "error_first", "429", "garbage")
    before = all_before(cell.upstream)
    for upstream, fault in zip(before, faults, strict=False):
        cell.arena.inject(upstream, fault)
    heard = cell.client.ask(last(cell.upstream))
    _is_whole(cell, heard, cell.upstream)
    tried = [item.partition("/")[0] for item in _trail(heard.headers).split(", ")]
    if cell.wire not in {Wire.EMBEDDINGS, Wire.COUNT_TOKENS}:
        assert [*(each.name for each in before), cell.upstream.name] == list(dict.fromkeys(tried))


_BREAKS = ("cut:after=4", "cut:after=1", f"cut:after={len(ANSWER.split())}", "cut_clean", "error_later", "malformed")


@_case("an answer that breaks off is brought whole by an upstream of another language")
def cut(cell: Cell) -> None:
    if not cell.client.streams:
        cell.arena.inject(cell.upstream, "cut")
        heard = cell.client.ask(backed(cell.upstream, cell.wire))
        _is_whole(cell, heard, next_to(cell.upstream, cell.wire))
        return
    for fault in _BREAKS if cell.leads else _BREAKS[:1]:
        cell.arena.inject(cell.upstream, fault)
        _is_whole(cell, cell.client.ask(backed(cell.upstream, cell.wire)))
        told = cell.arena.told
        # An upstream that says that it failed may be asked once more.
        assert ("ok", True) == (told.outcome, 1 <= len(told.resumes) <= 2)
        assert cell.arena.received(next_to(cell.upstream, cell.wire))
        cell.arena.clean()


@_case("a call that breaks off is made whole by an upstream of another language", streams=True)
def tools_cut(cell: Cell) -> None:
    cell.arena.voice(tool_calls=1)
    cell.arena.inject(cell.upstream, "cut:after=1")
    called = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True))
    assert [("weather", {"city": "simulated"})] == [one[1:] for one in called.calls]
    assert called.calls[0].id
    assert cell.client.finishes["tools"] == called.finish
    assert 1 == len(called.ids)


@_case("a stream that nobody can go on with ends in an error that the SDK raises", streams=True)
def broken(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "cut:after=4")
    with _raises_in_stream(cell) as raised:
        cell.ask()
    (error,) = raised
    assert "upstream_stream_broken" == error
    assert "stream_interrupted" == cell.arena.told.outcome


# What they have in common.


def _is_whole(cell: Cell, heard: Heard, by: Upstream | None = None) -> None:
    """A whole answer, `by` an upstream; by default that of the cell."""
    by = by or cell.upstream
    assert heard.usage is not None or _tells_no_usage(cell)
    if cell.wire is Wire.COUNT_TOKENS:
        assert heard.usage is not None
        assert heard.usage[0] > 8
        return
    assert by.name == heard.headers["x-holdfast-upstream"]
    if heard.usage is not None:
        # Of an answer in two parts it is about what one alone would have counted.
        assert 0 < heard.usage[0] < 200
    if cell.wire is Wire.EMBEDDINGS:
        assert 2 == heard.pieces
        return
    assert ANSWER == heard.text
    assert cell.client.finishes["stop"] == heard.finish
    assert by.model == heard.model
    assert "" == heard.refusal and [] == heard.calls
    (id_,) = heard.ids
    assert id_.startswith(_IDS.get(cell.wire, ""))
    if heard.usage is not None:
        words = len(ANSWER.split()) + (len(THINKING.split()) if heard.reasoning else 0)
        # Of an answer in two parts, each counts what it said.
        assert words <= heard.usage[1] <= words + 8
    if cell.client.streams:
        assert heard.pieces > 1


def _tells_no_usage(cell: Cell) -> bool:
    """Some tell the usage of a stream unasked, which the simulated ones never do."""
    return cell.client.streams and not cell.upstream.kind.quirks.stream_usage


def _counts_more(cell: Cell, asked: Ask) -> None:
    plain, more = cell.ask().usage, cell.ask(asked).usage
    assert plain is not None and more is not None
    assert more[0] >= plain[0]


def _is_estimated(cell: Cell) -> None:
    """What nobody counts is estimated; faults of answers do not strike who counts."""
    heard = cell.ask()
    asked = cell.arena.received(cell.upstream)
    counted = bool(asked) and asked[-1].fault is None
    assert (heard.headers["x-holdfast-reason"] == "estimated") is not counted


def _trail(headers: Mapping[str, str]) -> str:
    return headers.get("x-holdfast-trail", "")


def _raised(cell: Cell, route: str) -> Raised:
    try:
        heard = cell.client.ask(route)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return Raised(error.status_code, error.response.headers, error.response.json(), type(error).__name__)
    raise AssertionError(f"there was an answer: {heard}")


@contextmanager
def _raises_in_stream(cell: Cell) -> Iterator[list[str]]:
    """The codes of what a stream ends with."""
    codes: list[str] = []
    try:
        yield codes
    except openai.APIError as error:
        codes.append(str(error.code))
    except anthropic.APIStatusError as error:
        codes.append(str(error.body["error"]["details"]["error_code"]))  # type: ignore[index,call-overload]
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        codes.append(str(error.code))
