"""Answers and events of upstreams that speak Anthropic's language themselves: read as far as telling good from bad.

What is forwarded are the bytes that were received. Leaves stay raw, so that one decode of an event costs about a
microsecond and nothing that Anthropic adds can break it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure, FailureClass
from proxy.core.plain import count
from proxy.dialects.chat_events import to_json, usage_of
from proxy.dialects.error_text import read_error
from proxy.dialects.failures import classify_in_band
from proxy.dialects.lenient_json import peek
from proxy.dialects.no_answer import bad_answer, no_answer, without_bom
from proxy.dialects.openai.chat import Completion
from proxy.dialects.raw_json import NULL
from proxy.streams.event_view import SAYS, EventKind, EventView

_SAYS_ALL: Final = frozenset({"end_turn", "tool_use"})
"""Stop reasons of an answer that must hold something; any other explains why it may not."""
_TEXTS: Final = frozenset({"text", "thinking"})
_MALFORMED = EventView(EventKind.MALFORMED)
_ERROR = EventView(EventKind.ERROR)
_DONE = EventView(EventKind.DONE)
_NOTHING = EventView(EventKind.NO_CONTENT)
_GOES_ON = EventView(EventKind.NO_CONTENT, (0,))
_FINISHED = EventView(EventKind.NO_CONTENT, (0,), (0,))
_FINISHED_MAY_BE_EMPTY = EventView(EventKind.NO_CONTENT, (0,), (0,), may_be_empty=True)


class _Thinking(Struct, gc=False):
    thinking_tokens: int | None = None


class Usage(Struct, gc=False):
    """Anthropic's usage."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _Thinking | None = None


class _Block(Struct, gc=False):
    """A block, or the delta of one or of the message."""

    type: str | None = None
    text: Raw = NULL
    thinking: Raw = NULL
    partial_json: Raw = NULL
    stop_reason: str | None = None


class _Head(Struct, gc=False):
    usage: Raw = NULL


class _Event(Struct, gc=False):
    type: str
    index: int = 0
    delta: _Block | None = None
    content_block: _Block | None = None
    message: _Head | None = None
    usage: Raw = NULL


class _Answer(Struct, gc=False):
    type: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Raw = NULL
    error: Raw = NULL


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_usage = msgspec.json.Decoder(Usage).decode


def read_message(body: bytes, kind: str = "", now: float = 0.0) -> Completion | Failure:
    """A whole answer, or the failure that it is, with the codes of `openai/chat.py: read_answer`. Never raises.

    `kind` and `now` are those of `classify_in_band`. The usage is told as chat tells it.
    """
    body = without_bom(body)
    answer = peek(_decode_answer, body)
    if answer is None:
        return no_answer(body, "a message", kind, now)
    if answer.type == "error" or answer.error != NULL or (answer.content is None and read_error(body).told):
        return classify_in_band(kind, body, now)
    if answer.content is None:
        return bad_answer("wrong_schema", "the answer is not a message")
    if not any(_says_something(block) for block in answer.content):
        if answer.stop_reason == "model_context_window_exceeded":
            return Failure(FailureClass.CONTEXT_TOO_LONG, "empty_answer", "the prompt leaves no room for an answer")
        if answer.stop_reason is None or answer.stop_reason in _SAYS_ALL:
            return bad_answer("empty_answer", "the answer holds no content")
    usage = _usage(answer.usage)
    return Completion(body, None if usage is None else to_json(chat_usage(usage)))


def chat_usage(usage: Usage) -> dict[str, Any]:
    """Anthropic's usage as chat's: its prompt counts what was read from a cache and written to one with the rest."""
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    thought = None if usage.output_tokens_details is None else usage.output_tokens_details.thinking_tokens
    prompt = count(usage.input_tokens) + count(cached) + count(written)
    return usage_of(prompt, count(usage.output_tokens), cached=cached, cache_write=written, thought=thought)


class MessagesEvents:
    """Reads the events of one stream; call it with the data of each."""

    __slots__ = ("_calls", "_usage")

    def __init__(self) -> None:
        self._calls: dict[int, EventView] = {}
        self._usage: list[Raw] = []

    def __call__(self, data: bytes) -> EventView:
        """What the stream machine needs to know of one event. Never raises."""
        event = peek(_decode_event, data)
        if event is None:
            return _ERROR if read_error(data).told else _MALFORMED
        if event.type == "content_block_delta":
            return _MALFORMED if event.delta is None else self._said(event.delta, event.index)
        if event.type == "content_block_start":
            return _MALFORMED if event.content_block is None else self._begun(event.content_block, event.index)
        return self._rest(event)

    @property
    def usage(self) -> bytes | None:
        """The usage so far, as a chat event would tell it: `{"usage": {...}}`. None if none was told."""
        told = Usage()
        for raw in self._usage:
            # The counts are cumulative: a later one replaces an earlier one.
            if (read := _usage(raw)) is not None:
                known = {name: value for name in Usage.__struct_fields__ if (value := getattr(read, name)) is not None}
                told = msgspec.structs.replace(told, **known)
        return to_json({"usage": chat_usage(told)}) if told != Usage() else None

    def _said(self, delta: _Block, index: int) -> EventView:
        # An empty text is two bytes.
        if len(delta.text) > 2 and delta.text != NULL:
            return SAYS
        if len(delta.partial_json) > 2 and delta.partial_json != NULL:
            # What Anthropic's servers call themselves is no call that a client could be left with half of.
            return self._calls.get(index, SAYS)
        return SAYS if len(delta.thinking) > 2 and delta.thinking != NULL else _GOES_ON

    def _begun(self, block: _Block, index: int) -> EventView:
        if block.type == "tool_use":
            view = self._calls[index] = EventView(EventKind.CONTENT, (0,), calls=(index,))
            return view
        return SAYS if _says_something(block) else _GOES_ON

    def _rest(self, event: _Event) -> EventView:
        """The events of which a stream has few."""
        if event.type == "message_stop":
            return _DONE
        if event.type == "error":
            return _ERROR
        if event.type == "message_start":
            if event.message is not None:
                self._note(event.message.usage)
            return _GOES_ON
        if event.type == "message_delta":
            self._note(event.usage)
            reason = None if event.delta is None else event.delta.stop_reason
            if reason is None:
                return _GOES_ON
            return _FINISHED if reason in _SAYS_ALL else _FINISHED_MAY_BE_EMPTY
        return _NOTHING

    def _note(self, usage: Raw) -> None:
        if usage != NULL:
            self._usage = [*self._usage[:1], Raw(bytes(usage))]


def _says_something(block: _Block) -> bool:
    """Whether a block holds anything of an answer. Texts may be empty; what else there is stands for something."""
    if block.type not in _TEXTS:
        return block.type is not None
    return any(len(leaf) > 2 and leaf != NULL for leaf in (block.text, block.thinking))


def _usage(raw: Raw) -> Usage | None:
    try:
        return None if raw == NULL else _decode_usage(raw)
    except (ValueError, RecursionError):
        return None
