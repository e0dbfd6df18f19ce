"""What each fault makes of a good answer.

A fault on a chat request is a pair of scripts, one for a stream and one for a JSON answer. Both are generators of steps
and are as pure as the rest of the shapes; `behaviour.py` performs them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from proxy.simulator.answers import Choice
from proxy.simulator.events import HTML_TYPE, JSON_TYPE, Event, dumps, encoded
from proxy.simulator.exchange import closing, healthy, opening, whole, words
from proxy.simulator.faults import Fault
from proxy.simulator.steps import BreakOff, Hang, Head, Script, Send, Sleep, Step
from proxy.simulator.unusual import UNUSUAL, FaultyScript, well
from proxy.simulator.wires.wire import Exchange, broken_message

_DRIPS = 20
_MARK = "a-word-that-never-ends"
_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>"


def faulty(fault: Fault, exchange: Exchange) -> Script:
    """The answer of a fault of the scope `answer`."""
    return SCRIPTS[fault.name][0 if exchange.stream else 1](fault, exchange)


def broken_after(fault: Fault, exchange: Exchange, *rest: Step) -> Script:
    """A good stream up to `fault.after` words, then these steps."""
    yield from opening(exchange)
    yield from words(exchange, stop=fault.after)
    yield from rest


def part(fault: Fault, exchange: Exchange, *rest: Step, announced: bool = True) -> Script:
    """A share of the body after the headers of the full one (chunked if its length is not announced)."""
    data = exchange.body()
    yield Sleep(exchange.thinking_time())
    yield Head(200, JSON_TYPE, len(data) if announced else None)
    yield Send(data[: int(len(data) * fault.share)])
    yield from rest


def _error_json(fault: Fault, exchange: Exchange) -> Script:
    data = encoded(dumps(exchange.wire.failure(exchange, fault.status)))
    yield Head(200, JSON_TYPE, len(data))
    yield Send(data)


# Slow or silent.


def _slow_headers(fault: Fault, exchange: Exchange) -> Script:
    yield Sleep(fault.seconds)
    yield from healthy(exchange)


def _slow_first_token(fault: Fault, exchange: Exchange) -> Script:
    return healthy(replace(exchange, first_token_delay=fault.seconds))


def _slower(fault: Fault, exchange: Exchange) -> Script:
    pace, delay = exchange.pace * fault.factor, exchange.first_token_delay * fault.factor
    return healthy(replace(exchange, pace=pace, first_token_delay=delay))


def _slow_body(fault: Fault, exchange: Exchange) -> Script:
    head, data = _collected(healthy(exchange))
    yield replace(head, length=None if exchange.stream else len(data))
    size = max(1, -(-len(data) // _DRIPS))
    for start in range(0, len(data), size):
        yield Sleep(fault.seconds * size / len(data))
        yield Send(data[start : start + size])


def _collected(script: Script) -> tuple[Head, bytes]:
    """The headers and the whole body of a script, without its pauses."""
    steps = list(script)
    head = next(step for step in steps if isinstance(step, Head))
    return head, b"".join(step.data for step in steps if isinstance(step, Send))


def _silence_stream(_: Fault, exchange: Exchange) -> Script:
    yield from opening(exchange)
    yield Hang()


def _silence_json(_: Fault, exchange: Exchange) -> Script:
    yield Head(200, JSON_TYPE, len(exchange.body()))
    yield Hang()


def _pings(fault: Fault, exchange: Exchange) -> Script:
    if exchange.wire.pings_are_events:
        yield from opening(exchange)
    else:
        yield Head(200, exchange.wire.stream_type)
    if not exchange.wire.ping:
        yield Hang()
    yield from _for_ever(exchange.wire.ping, fault.interval)


def _blank_lines(fault: Fault, _: Exchange) -> Script:
    yield Head(200, JSON_TYPE)
    yield from _for_ever(b"\n", fault.interval)


class _Again(Sequence[str]):
    """One word, said for ever."""

    def __init__(self, word: str) -> None:
        self._word = word

    def __len__(self) -> int:
        return sys.maxsize

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        return self._word if isinstance(at, int) else self


def _saying(exchange: Exchange, tokens: Sequence[str]) -> Exchange:
    """The same with these words in place of its own."""
    return replace(exchange, answer=replace(exchange.answer, choices=(Choice(tokens),)))


def _says_for_ever(word: str) -> FaultyScript:
    def script(fault: Fault, exchange: Exchange) -> Script:
        endless = replace(_saying(exchange, _Again(word)), pace=fault.interval, first_token_delay=0.0)
        yield from opening(endless)
        yield from words(endless)

    return script


def _endless_json(fault: Fault, exchange: Exchange) -> Script:
    yield Head(200, JSON_TYPE)
    yield Send(_saying(exchange, (_MARK,)).body().partition(_MARK.encode())[0])
    yield from _for_ever(b" more", fault.interval)


def _for_ever(data: bytes, interval: float) -> Script:
    while True:
        yield Send(data)
        yield Sleep(interval)


# Broken off.


def _stall(fault: Fault, exchange: Exchange) -> Script:
    return broken_after(fault, exchange, Hang()) if exchange.stream else part(fault, exchange, Hang())


def _cut(fault: Fault, exchange: Exchange) -> Script:
    end = BreakOff(reset=fault.how == "reset")
    return broken_after(fault, exchange, end) if exchange.stream else part(fault, exchange, end)


def _cut_clean(fault: Fault, exchange: Exchange) -> Script:
    return broken_after(fault, exchange) if exchange.stream else part(fault, exchange, announced=False)


def _truncated_stream(fault: Fault, exchange: Exchange) -> Script:
    """All but the end of the last content event, then a clean end in the middle of its JSON."""
    steps = [*opening(exchange), *words(exchange)]
    last = steps[-1]
    yield from steps[:-1]
    if isinstance(last, Send):
        yield Send(last.data[: int(len(last.data) * fault.share)])


def _truncated_json(fault: Fault, exchange: Exchange) -> Script:
    data = exchange.body()
    return whole(exchange, data[: int(len(data) * fault.share)])


def _no_done(_: Fault, exchange: Exchange) -> Script:
    yield from opening(exchange)
    yield from words(exchange)
    yield from closing(exchange, done=False)


def _no_done_hang(fault: Fault, exchange: Exchange) -> Script:
    yield from _no_done(fault, exchange)
    yield Hang()


# Wrong content.


def _malformed_stream(fault: Fault, exchange: Exchange) -> Script:
    yield from opening(exchange)
    yield from words(exchange, stop=fault.after)
    yield Send(exchange.wire.spell(_half(next(exchange.wire.beats(_saying(exchange, ("broken",))), (Event("{"),)))))
    yield from words(exchange, start=fault.after)
    yield from closing(exchange)


def _half(beat: tuple[Event, ...]) -> Event:
    """The event with the content, without the end of its JSON."""
    whole_event = beat[-1]
    return whole_event._replace(data=whole_event.data[: len(whole_event.data) // 2])


def _malformed_json(_: Fault, exchange: Exchange) -> Script:
    return whole(exchange, exchange.body().replace(b"{", b"{,", 1))


def _error_first(fault: Fault, exchange: Exchange) -> Script:
    yield Head(200, exchange.wire.stream_type)
    yield _failure(fault, exchange)


def _error_later(fault: Fault, exchange: Exchange) -> Script:
    return broken_after(fault, exchange, _failure(fault, exchange))


def _error_then_done(fault: Fault, exchange: Exchange) -> Script:
    # vLLM's code is a number.
    return broken_after(fault, exchange, _failure(fault, exchange, fault.status), *_terminal(exchange))


def _error_field(fault: Fault, exchange: Exchange) -> Script:
    if not exchange.wire.speaks_sse:
        return _error_later(fault, exchange)
    shape = {"code": 500, "message": broken_message(exchange.upstream), "type": "server_error"}
    return broken_after(fault, exchange, Send(encoded(f"error: {dumps(shape)}\n\n")), *_terminal(exchange))


def _failure(fault: Fault, exchange: Exchange, code: int | None = None) -> Send:
    return Send(exchange.wire.spell(exchange.wire.failure_event(exchange, fault.status, code)))


def _terminal(exchange: Exchange) -> list[Send]:
    return [Send(exchange.wire.spell(event)) for event in exchange.wire.terminal(exchange)]


def _empty(_: Fault, exchange: Exchange) -> Script:
    choices = tuple(Choice(()) for _ in exchange.answer.choices)
    usage = {
        **exchange.answer.usage,
        "completion_tokens": 0,
        "total_tokens": exchange.answer.usage.get("prompt_tokens", 0),
    }
    return healthy(replace(exchange, answer=replace(exchange.answer, choices=choices, usage=usage)))


def _body(data: bytes) -> FaultyScript:
    """This body under the right content type."""

    def script(_: Fault, exchange: Exchange) -> Script:
        yield Head(200, exchange.wire.stream_type if exchange.stream else JSON_TYPE, len(data))
        yield Send(data)

    return script


def _garbage(fault: Fault, exchange: Exchange) -> Script:
    return _body(random.Random(f"{exchange.seed}/{exchange.answer.mark}").randbytes(fault.size))(fault, exchange)


def _wrong_type(*_: object) -> Script:
    yield Head(200, HTML_TYPE, len(_PAGE))
    yield Send(_PAGE)


def _content_filter_finish(fault: Fault, exchange: Exchange) -> Script:
    return _finished_early(fault, exchange, "content_filter")


def _finish(fault: Fault, exchange: Exchange) -> Script:
    return _finished_early(fault, exchange, fault.reason)


def _finished_early(fault: Fault, exchange: Exchange, reason: str) -> Script:
    short = tuple(
        replace(choice, tokens=choice.tokens[: fault.after], finish_reason=reason, stopped_by=None)
        for choice in exchange.answer.choices
    )
    return healthy(replace(exchange, answer=replace(exchange.answer, choices=short)))


SCRIPTS: dict[str, tuple[FaultyScript, FaultyScript]] = {
    "slow_headers": (_slow_headers, _slow_headers),
    "slow_first_token": (_slow_first_token, _slow_first_token),
    "slow_body": (_slow_body, _slow_body),
    "slower": (_slower, _slower),
    "role_then_silence": (_silence_stream, _silence_json),
    "pings": (_pings, _blank_lines),
    "empty_deltas": (_says_for_ever(""), _blank_lines),
    "stall": (_stall, _stall),
    "endless": (_says_for_ever(" more"), _endless_json),
    "cut": (_cut, _cut),
    "cut_clean": (_cut_clean, _cut_clean),
    "truncated_json": (_truncated_stream, _truncated_json),
    "no_done": (_no_done, well),
    "no_done_hang": (_no_done_hang, well),
    "malformed": (_malformed_stream, _malformed_json),
    "error_first": (_error_first, _error_json),
    "error_later": (_error_later, _error_json),
    "error_then_done": (_error_then_done, _error_json),
    "error_field": (_error_field, _error_json),
    "error_200": (_error_json, _error_json),
    "empty": (_empty, _empty),
    "empty_body": (_body(b""), _body(b"")),
    "garbage": (_garbage, _garbage),
    "wrong_type": (_wrong_type, _wrong_type),
    "content_filter_finish": (_content_filter_finish, _content_filter_finish),
    "finish": (_finish, _finish),
    **UNUSUAL,
}
