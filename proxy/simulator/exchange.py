"""The good answer, as scripts: the parts of a stream and of a JSON answer that the faults are built from too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from proxy.simulator.events import JSON_TYPE, Event, Spelling
from proxy.simulator.steps import Head, Script, Send, Sleep
from proxy.simulator.wires.wire import Exchange


def healthy(exchange: Exchange) -> Script:
    """A good answer."""
    return spoken(exchange) if exchange.stream else whole(exchange)


# The parts of a stream.


def opening(exchange: Exchange, spell: Spelling | None = None) -> Script:
    """Headers, then what comes before any content."""
    yield Head(200, exchange.wire.stream_type)
    yield from _sent(exchange, exchange.wire.opening(exchange), spell)


def words(exchange: Exchange, start: int = 0, stop: int | None = None, spell: Spelling | None = None) -> Script:
    """The beats (content events) from number `start` up to `stop`, each after its pause."""
    spell = spell or exchange.wire.spell
    for number, beat in islice(enumerate(exchange.wire.beats(exchange)), start, stop):
        yield Sleep(exchange.pace if number else exchange.first_token_delay)
        for event in beat:
            yield Send(spell(event))


def closing(exchange: Exchange, *, done: bool = True, spell: Spelling | None = None) -> Script:
    """What follows the content, with the marker that all was said unless `done` is false."""
    yield from _sent(exchange, exchange.wire.closing(exchange), spell)
    if done:
        yield from _sent(exchange, exchange.wire.terminal(exchange), spell)


def spoken(exchange: Exchange, spell: Spelling | None = None) -> Script:
    """A good stream."""
    yield from opening(exchange, spell)
    yield from words(exchange, spell=spell)
    yield from closing(exchange, spell=spell)


def _sent(exchange: Exchange, events: Iterator[Event], spell: Spelling | None) -> Script:
    chosen = spell or exchange.wire.spell
    return (Send(chosen(event)) for event in events)


# The parts of a JSON answer.


def whole(exchange: Exchange, body: bytes | None = None) -> Script:
    """A good JSON answer, or another body in its place."""
    data = exchange.body() if body is None else body
    yield Sleep(exchange.thinking_time())
    yield Head(200, JSON_TYPE, len(data))
    yield Send(data)
