"""One field of the table in action, and what most of its cases look for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import anthropic
import openai

from proxy.core.wire import Wire
from tests.conformance.matrix.arena import ANSWER, THINKING, Arena, alone
from tests.conformance.matrix.client import Ask, Client, Heard
from tests.conformance.matrix.upstreams import UPSTREAMS, Upstream

_IDS = {Wire.RESPONSES: "resp_", Wire.MESSAGES: "msg_"}


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


def case(title: str, *, streams: bool = False) -> Callable[[Callable[[Cell], None]], Callable[[Cell], None]]:
    def add(check: Callable[[Cell], None]) -> Callable[[Cell], None]:
        CASES[check.__name__] = Case(check.__name__, title, check, streams)
        return check

    return add


class Raised(NamedTuple):
    """What an SDK raised, as far as both have it."""

    status: int
    headers: Mapping[str, str]
    body: Any
    name: str


def is_whole(cell: Cell, heard: Heard, by: Upstream | None = None) -> None:
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


def counts_more(cell: Cell, asked: Ask) -> None:
    plain, more = cell.ask().usage, cell.ask(asked).usage
    assert plain is not None and more is not None
    assert more[0] >= plain[0]


def is_estimated(cell: Cell) -> None:
    """What nobody counts is estimated; faults of answers do not strike who counts."""
    heard = cell.ask()
    asked = cell.arena.received(cell.upstream)
    counted = bool(asked) and asked[-1].fault is None
    assert (heard.headers["x-holdfast-reason"] == "estimated") is not counted


def trail(headers: Mapping[str, str]) -> str:
    return headers.get("x-holdfast-trail", "")


def raised_by(cell: Cell, route: str) -> Raised:
    try:
        heard = cell.client.ask(route)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return Raised(error.status_code, error.response.headers, error.response.json(), type(error).__name__)
    raise AssertionError(f"there was an answer: {heard}")


@contextmanager
def raises_in_stream(cell: Cell) -> Iterator[list[str]]:
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
