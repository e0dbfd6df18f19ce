"""Good answers in unusual spellings, as the faults of that kind make them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from proxy.simulator import events
from proxy.simulator.events import Spelling
from proxy.simulator.exchange import healthy, spoken, whole
from proxy.simulator.faults import Fault
from proxy.simulator.steps import Head, Script, Send
from proxy.simulator.tokens import tokens_of
from proxy.simulator.wires.wire import Exchange

FaultyScript: TypeAlias = "Callable[[Fault, Exchange], Script]"

_FOREIGN_WORDS = tokens_of(
    "模拟回答: 这些 文字 来自 一个 小程序 🤖, 没有 询问 任何 模型 🙅🏽‍♀️. "
    "これは シミュレーション です 🎌, 本物 の 答え では ありません 👨‍👩‍👧. 응답 시뮬레이션 입니다 🇰🇷"
)


def well(_: Fault, exchange: Exchange) -> Script:
    """A good answer as it always is."""
    return healthy(exchange)


def _spelled(spell: Spelling) -> FaultyScript:
    return lambda _, exchange: spoken(exchange, spell if exchange.wire.speaks_sse else None)


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
    told = exchange.wire.limit_headers(fault.limit, fault.remaining, fault.reset, exchange.answer.created)
    return _headed(exchange, told)


def _bom(_: Fault, exchange: Exchange) -> Script:
    mark = b"\xef\xbb\xbf"
    if not exchange.stream:
        yield from whole(exchange, mark + exchange.body())
        return
    for number, step in enumerate(spoken(exchange)):
        yield step
        if number == 0 and exchange.wire.speaks_sse:
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
    spell = exchange.wire.spell
    return spoken(
        replace(abroad, answer=replace(abroad.answer, choices=choices)),
        lambda event: spell(events.surrogates_escaped(event)),
    )


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


UNUSUAL: dict[str, tuple[FaultyScript, FaultyScript]] = {
    "gzip": (_gzip, _gzip),
    "huge_headers": (_huge_headers, _huge_headers),
    "crlf": (_spelled(events.sse_crlf), well),
    "cr_only": (_spelled(events.sse_cr), well),
    "comments": (_spelled(events.sse_comments), well),
    "bom": (_bom, _bom),
    "multiline": (_spelled(events.sse_multiline), well),
    "split_utf8": (_split_utf8, _split_utf8),
    "surrogates": (_surrogates_stream, _surrogates_json),
    "big_event": (_big_event, _big_event),
    "low_headroom": (_low_headroom, _low_headroom),
}
