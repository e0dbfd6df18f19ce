"""What each fault makes of a good answer.

A fault on a chat request is a pair of scripts, one for a stream and one for a JSON answer. Both are generators of steps
and are as pure as the rest of the shapes; `behaviour.py` performs them.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from proxy.simulator import voices
from proxy.simulator.answers import Choice
from proxy.simulator.faults import Fault
from proxy.simulator.good import Exchange, closing, healthy, opening, spoken, whole, words
from proxy.simulator.refusals import request_limit
from proxy.simulator.steps import BreakOff, Hang, Head, Script, Send, Sleep, Step
from proxy.simulator.tokens import tokens_of
from proxy.simulator.voices import DONE, HTML_TYPE, JSON_TYPE, SSE_TYPE, Spelling, dumps, encoded, sse

_FOREIGN_WORDS = tokens_of(
    "模拟回答: 这些 文字 来自 一个 小程序 🤖, 没有 询问 任何 模型 🙅🏽‍♀️. "
    "これは シミュレーション です 🎌, 本物 の 答え では ありません 👨‍👩‍👧. 응답 시뮬레이션 입니다 🇰🇷"
)
_DRIPS = 20
_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>"


FaultyScript: TypeAlias = "Callable[[Fault, Exchange], Script]"


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


def _error_json(_: Fault, exchange: Exchange) -> Script:
    data = encoded(dumps(voices.stream_error(exchange.upstream)))
    yield Head(200, JSON_TYPE, len(data))
    yield Send(data)


def _well(_: Fault, exchange: Exchange) -> Script:
    return healthy(exchange)


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


def _pings(fault: Fault, _: Exchange) -> Script:
    yield Head(200, SSE_TYPE)
    yield from _for_ever(b": keep-alive\n\n", fault.interval)


def _blank_lines(fault: Fault, _: Exchange) -> Script:
    yield Head(200, JSON_TYPE)
    yield from _for_ever(b"\n", fault.interval)


def _empty_deltas(fault: Fault, exchange: Exchange) -> Script:
    yield from opening(exchange)
    yield from _for_ever(sse(exchange.event(voices.choice_delta(0, {"content": ""}))), fault.interval)


def _endless_stream(fault: Fault, exchange: Exchange) -> Script:
    yield from opening(exchange)
    yield from _for_ever(sse(exchange.event(voices.choice_delta(0, {"content": " more"}))), fault.interval)


def _endless_json(fault: Fault, exchange: Exchange) -> Script:
    yield Head(200, JSON_TYPE)
    yield Send(exchange.body().partition(b'"content":"')[0] + b'"content":"')
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
    yield Send(sse('{"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"conte'))
    yield from words(exchange, start=fault.after)
    yield from closing(exchange)


def _malformed_json(_: Fault, exchange: Exchange) -> Script:
    return whole(exchange, exchange.body().replace(b'"choices":[', b'"choices":[,', 1))


def _error_first(_: Fault, exchange: Exchange) -> Script:
    yield Head(200, SSE_TYPE)
    yield Send(sse(dumps(voices.stream_error(exchange.upstream))))


def _error_later(fault: Fault, exchange: Exchange) -> Script:
    return broken_after(fault, exchange, Send(sse(dumps(voices.stream_error(exchange.upstream)))))


def _error_then_done(fault: Fault, exchange: Exchange) -> Script:
    # vLLM's code is a number.
    return broken_after(fault, exchange, Send(sse(dumps(voices.stream_error(exchange.upstream, 500)))), Send(sse(DONE)))


def _error_field(fault: Fault, exchange: Exchange) -> Script:
    shape = {"code": 500, "message": f"Simulated fault: {exchange.upstream} had an error.", "type": "server_error"}
    return broken_after(fault, exchange, Send(encoded(f"error: {dumps(shape)}\n\n")), Send(sse(DONE)))


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
        yield Head(200, SSE_TYPE if exchange.stream else JSON_TYPE, len(data))
        yield Send(data)

    return script


def _garbage(fault: Fault, exchange: Exchange) -> Script:
    return _body(random.Random(f"{exchange.seed}/{exchange.answer.id}").randbytes(fault.size))(fault, exchange)


def _wrong_type(*_: object) -> Script:
    yield Head(200, HTML_TYPE, len(_PAGE))
    yield Send(_PAGE)


def _content_filter_finish(fault: Fault, exchange: Exchange) -> Script:
    short = tuple(
        replace(choice, tokens=choice.tokens[: fault.after], finish_reason="content_filter")
        for choice in exchange.answer.choices
    )
    return healthy(replace(exchange, answer=replace(exchange.answer, choices=short)))


# Good answers in unusual spellings.


def _spelled(spell: Spelling) -> FaultyScript:
    return lambda _, exchange: spoken(exchange, spell)


def _gzip(_: Fault, exchange: Exchange) -> Script:
    squeeze = zlib.compressobj(wbits=31)
    for step in healthy(exchange):
        if isinstance(step, Head):
            yield replace(step, headers={**step.headers, "Content-Encoding": "gzip"}, length=None)
        elif isinstance(step, Send):
            # Flushed event by event, as a server does that compresses a stream.
            yield Send(squeeze.compress(step.data) + squeeze.flush(zlib.Z_SYNC_FLUSH))
        else:
            yield step
    yield Send(squeeze.flush())


def _headed(exchange: Exchange, headers: Mapping[str, str]) -> Script:
    """A good answer with more headers."""
    for step in healthy(exchange):
        yield replace(step, headers={**step.headers, **headers}) if isinstance(step, Head) else step


def _huge_headers(fault: Fault, exchange: Exchange) -> Script:
    return _headed(exchange, {"X-Padding": "x" * fault.size})


def _low_headroom(fault: Fault, exchange: Exchange) -> Script:
    """`arming.py` counts the requests, and makes a 429 of those that find nothing left."""
    return _headed(exchange, request_limit(fault.limit, fault.remaining, fault.reset))


def _bom(_: Fault, exchange: Exchange) -> Script:
    mark = b"\xef\xbb\xbf"
    if not exchange.stream:
        yield from whole(exchange, mark + exchange.body())
        return
    for number, step in enumerate(spoken(exchange)):
        yield step
        if number == 0:
            yield Send(mark)


def _abroad(exchange: Exchange) -> Exchange:
    """The same in CJK and emoji; tool calls stay."""
    choices = tuple(
        replace(choice, tokens=_FOREIGN_WORDS) for choice in exchange.answer.choices if not choice.tool_calls
    )
    return replace(exchange, answer=replace(exchange.answer, choices=choices or exchange.answer.choices))


def _split_utf8(fault: Fault, exchange: Exchange) -> Script:
    for step in healthy(_abroad(exchange)):
        if isinstance(step, Send):
            yield from (Send(step.data[at : at + fault.size]) for at in range(0, len(step.data), fault.size))
        else:
            yield step


def _surrogates_stream(_: Fault, exchange: Exchange) -> Script:
    abroad = _abroad(exchange)
    choices = tuple(
        replace(choice, tokens=tuple(piece for word in choice.tokens for piece in _cut_in_emoji(word)))
        for choice in abroad.answer.choices
    )
    return spoken(replace(abroad, answer=replace(abroad.answer, choices=choices)), voices.sse_surrogates)


def _surrogates_json(_: Fault, exchange: Exchange) -> Script:
    return healthy(_abroad(exchange))


def _cut_in_emoji(word: str) -> list[str]:
    """The pieces of a word that is cut between the surrogates of each character that takes two UTF-16 units."""
    units = "".join(chr(unit) for (unit,) in struct.iter_unpack("<H", word.encode("utf-16-le")))
    return re.split("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])", units)


def _big_event(fault: Fault, exchange: Exchange) -> Script:
    first, *others = exchange.answer.choices
    grown = replace(first, tokens=("x" * fault.size, *first.tokens))
    return healthy(replace(exchange, answer=replace(exchange.answer, choices=(grown, *others))))


SCRIPTS: dict[str, tuple[FaultyScript, FaultyScript]] = {
    "slow_headers": (_slow_headers, _slow_headers),
    "slow_first_token": (_slow_first_token, _slow_first_token),
    "slow_body": (_slow_body, _slow_body),
    "slower": (_slower, _slower),
    "role_then_silence": (_silence_stream, _silence_json),
    "pings": (_pings, _blank_lines),
    "empty_deltas": (_empty_deltas, _blank_lines),
    "stall": (_stall, _stall),
    "endless": (_endless_stream, _endless_json),
    "cut": (_cut, _cut),
    "cut_clean": (_cut_clean, _cut_clean),
    "truncated_json": (_truncated_stream, _truncated_json),
    "no_done": (_no_done, _well),
    "no_done_hang": (_no_done_hang, _well),
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
    "gzip": (_gzip, _gzip),
    "huge_headers": (_huge_headers, _huge_headers),
    "crlf": (_spelled(voices.sse_crlf), _well),
    "cr_only": (_spelled(voices.sse_cr), _well),
    "comments": (_spelled(voices.sse_comments), _well),
    "bom": (_bom, _bom),
    "multiline": (_spelled(voices.sse_multiline), _well),
    "split_utf8": (_split_utf8, _split_utf8),
    "surrogates": (_surrogates_stream, _surrogates_json),
    "big_event": (_big_event, _big_event),
    "low_headroom": (_low_headroom, _low_headroom),
}
