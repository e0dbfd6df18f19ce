"""The good answer, as scripts: the parts of a stream and of a JSON answer that the faults are built from too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from proxy.simulator import voices
from proxy.simulator.answers import Answer
from proxy.simulator.steps import Head, Script, Send, Sleep
from proxy.simulator.voices import DONE, JSON_TYPE, SSE_TYPE, Document, Spelling, dumps, encoded, sse


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a script speaks about: the answer that is due, and the pace of it (in seconds)."""

    answer: Answer
    upstream: str
    stream: bool
    include_usage: bool = False
    pace: float = 0.0
    first_token_delay: float = 0.0
    seed: int = 0

    def event(self, *choices: Document, usage: object = None) -> str:
        """The data of one event."""
        return dumps(voices.chunk(self.answer, list(choices), include_usage=self.include_usage, usage=usage))

    def deltas(self) -> Iterator[str]:
        """The data of the events that have content."""
        return (self.event(delta) for delta in voices.deltas(self.answer))

    def body(self) -> bytes:
        """The JSON answer."""
        return encoded(dumps(voices.completion(self.answer)))

    def thinking_time(self) -> float:
        """Seconds until a JSON answer is ready."""
        return self.first_token_delay + self.pace * sum(len(choice.tokens) for choice in self.answer.choices)


def healthy(exchange: Exchange) -> Script:
    """A good answer."""
    return spoken(exchange) if exchange.stream else whole(exchange)


# The parts of a stream.


def opening(exchange: Exchange, spell: Spelling = sse) -> Script:
    """Headers, then the role of each choice."""
    yield Head(200, SSE_TYPE)
    for role in voices.roles(exchange.answer):
        yield Send(spell(exchange.event(role)))


def words(exchange: Exchange, start: int = 0, stop: int | None = None, spell: Spelling = sse) -> Script:
    """The chunks with content from number `start` up to `stop`, each after its pause."""
    for number, data in islice(enumerate(exchange.deltas()), start, stop):
        yield Sleep(exchange.pace if number else exchange.first_token_delay)
        yield Send(spell(data))


def closing(
    exchange: Exchange, finish_reason: str | None = None, *, done: bool = True, spell: Spelling = sse
) -> Script:
    """The finish of each choice, the usage if it was asked for, and [DONE]."""
    for index, choice in enumerate(exchange.answer.choices):
        yield Send(spell(exchange.event(voices.choice_delta(index, {}, finish_reason or choice.finish_reason))))
    if exchange.include_usage:
        yield Send(spell(exchange.event(usage=dict(exchange.answer.usage))))
    if done:
        yield Send(spell(DONE))


def spoken(exchange: Exchange, spell: Spelling = sse) -> Script:
    """A good stream."""
    yield from opening(exchange, spell)
    yield from words(exchange, spell=spell)
    yield from closing(exchange, spell=spell)


# The parts of a JSON answer.


def whole(exchange: Exchange, body: bytes | None = None) -> Script:
    """A good JSON answer, or another body in its place."""
    data = exchange.body() if body is None else body
    yield Sleep(exchange.thinking_time())
    yield Head(200, JSON_TYPE, len(data))
    yield Send(data)
