"""Answers and events of an upstream that speaks the completions wire: good or bad, and as chat events."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure
from proxy.dialects.chat_events import DONE, MALFORMED, error_event, to_json
from proxy.dialects.dialect import Reading
from proxy.dialects.error_text import read_error
from proxy.dialects.failures import classify_in_band
from proxy.dialects.lenient_json import converted, peek
from proxy.dialects.no_answer import bad_answer, no_answer, without_bom
from proxy.dialects.openai.chat import Completion
from proxy.dialects.raw_json import NULL
from proxy.streams.event_view import SAYS, EventKind, EventView
from proxy.streams.sse import EventFramer, EventTooLargeError

_FAILED = frozenset({"error"})
_MAY_BE_EMPTY = frozenset({"stop", "length", "content_filter", "model_length"})
"""Finish reasons that explain an answer without text. Where a text goes on there may be nothing to add: editors that
complete code ask at every keystroke, and are mostly told so."""


class _Choice(Struct, gc=False):
    index: int | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Document(Struct, gc=False):
    choices: list[_Choice] | None = None
    error: Raw = NULL
    usage: Raw = NULL


_decode = msgspec.json.Decoder(_Document).decode

_MALFORMED = EventView(EventKind.MALFORMED)
_ERROR = EventView(EventKind.ERROR)
_DONE = EventView(EventKind.DONE)
_USAGE = EventView(EventKind.USAGE)
_NOTHING = EventView(EventKind.NO_CONTENT)
_FIRST = [0]


def read_completion(body: bytes, kind: str, now: float) -> Completion | Failure:
    """A whole answer, or the failure that it is. Never raises.

    The codes are those of `no_answer`, and `empty_answer`: there is no text, and no finish reason.
    """
    body = without_bom(body)
    document = peek(_decode, body)
    if document is None:
        return no_answer(body, "a completion", kind, now)
    if document.error != NULL:
        return classify_in_band(kind, body, now)
    if document.choices is None:
        return no_answer(body, "a completion", kind, now)
    reasons = {choice.finish_reason for choice in document.choices}
    if reasons & _FAILED:
        return classify_in_band(kind, body, now)
    if not any(choice.text for choice in document.choices) and not reasons & _MAY_BE_EMPTY:
        return bad_answer("empty_answer", "the answer holds no text")
    return Completion(body, None if document.usage == NULL else bytes(document.usage))


def read_event(data: bytes) -> EventView:
    """What the stream machine needs to know of one event."""
    document = peek(_decode, data)
    if document is None:
        return _DONE if data == b"[DONE]" else _MALFORMED
    if document.error != NULL:
        return _ERROR
    if not document.choices:
        if document.usage != NULL:
            return _USAGE
        if document.choices is not None:
            return _NOTHING
        return _ERROR if read_error(data).told else _MALFORMED
    started = [choice.index or 0 for choice in document.choices]
    reasons = [choice.finish_reason for choice in document.choices]
    if not _FAILED.isdisjoint(reasons):
        return _ERROR
    content = any(choice.text for choice in document.choices)
    if content and started == _FIRST and not reasons[0]:
        return SAYS
    finished = tuple(index for index, reason in zip(started, reasons, strict=True) if reason)
    may_be_empty = not _MAY_BE_EMPTY.isdisjoint(reasons)
    return EventView(
        EventKind.CONTENT if content else EventKind.NO_CONTENT, tuple(started), finished, may_be_empty=may_be_empty
    )


class _Event(Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    error: Any = None
    usage: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


class CompletionsTranslator:
    """Turns the events of one stream into chat events."""

    __slots__ = ("_framer", "_head", "_over", "_reading", "_started")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._framer = EventFramer()
        self._head = b""
        self._started: set[int] = set()
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """As `Translator.feed`."""
        out: list[bytes] = []
        try:
            events = self._framer.feed(data)
        except EventTooLargeError:
            self._over = True
            return MALFORMED
        for event in events:
            if self._over:
                break
            if event.error is not None:
                self._fail(event.error.decode("utf-8", "replace"), out)
            elif event.data == b"[DONE]":
                self._over = True
                out.append(DONE)
            elif event.data is not None:
                self._take(event.data, out)
        return b"".join(out)

    def end(self) -> bytes:
        """As `Translator.end`."""
        return b""

    def _fail(self, error: object, out: list[bytes]) -> None:
        self._over = True
        out.append(error_event(to_json({"error": error})))

    def _take(self, data: bytes, out: list[bytes]) -> None:
        event = converted(_decode_event, _Event, data)
        if event is None:
            out.append(MALFORMED)
            return
        if event.error is not None:
            self._fail(event.error, out)
            return
        if not self._head:
            head = {
                "id": event.id or self._reading.id,
                "object": "chat.completion.chunk",
                "created": self._reading.created,
                "model": event.model or self._reading.model,
            }
            self._head = b"data: " + to_json(head)[:-1]
        out += map(self._choice, event.choices or ())
        if isinstance(event.usage, dict):
            out.append(b'%b,"choices":[],"usage":%b}\n\n' % (self._head, to_json(event.usage)))

    def _choice(self, choice: _Choice) -> bytes:
        index = choice.index or 0
        delta = {} if index in self._started else {"role": "assistant"}
        self._started.add(index)
        if choice.text:
            delta["content"] = choice.text
        told = {"index": index, "delta": delta, "finish_reason": choice.finish_reason or None}
        return b'%b,"choices":[%b]}\n\n' % (self._head, to_json(told))
