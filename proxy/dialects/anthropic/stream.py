"""A stream of Messages as chat events.

A message is a row of blocks, each begun, filled by deltas and ended under its index. Text and thoughts are passed on as
they come; of a call only the pieces of its input, under the call's own number, which counts the calls of the whole
stream. Nothing is finished before `message_stop`: a stream that ends without it was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.dialects.anthropic.names import ANSWER
from proxy.dialects.anthropic.wordings import chat_usage, finish_reason, refusal_in
from proxy.dialects.chat_events import DONE, MALFORMED, ChatEvents, error_event, to_json
from proxy.dialects.dialect import Reading
from proxy.dialects.lenient_json import read_json, text_at
from proxy.streams.sse import Event, EventFramer, EventTooLargeError

_DELTA: Final = b"event: content_block_delta\ndata: "
_MOST_BLOCKS: Final = 4096
"""Blocks that may be open at once; a real stream has one."""


class _Delta(Struct, gc=False):
    """What is added to a block, or what is told of the message at its end."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: dict[str, Any] | None = None


class _Event(Struct, gc=False):
    """Any event."""

    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


class _Block(Struct):
    """One block that is open."""

    kind: str
    call: int | None = None
    """The number of the call that it is."""
    is_answer: bool = False
    """It is the call whose input is the answer."""
    input: Any = None
    """What the block began with; nearly always an empty object, and the input comes in pieces."""
    filled: bool = False
    """A piece of the input has come."""
    thoughts: list[str] = []
    signature: str = ""
    data: str = ""


_decode = msgspec.json.Decoder(_Event).decode


class MessagesTranslator:
    """Turns one stream of Messages into chat events."""

    __slots__ = (
        "_blocks", "_calls", "_details", "_events", "_framer", "_handlers", "_held", "_over", "_reading", "_reason",
        "_usage",
    )  # fmt: skip

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._framer = EventFramer()
        self._events: ChatEvents | None = None
        """None until the message begins: its first event tells the id."""
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._usage: dict[str, Any] = {}
        self._reason: str | None = None
        self._details: object = None
        self._over = False
        self._held: list[str] | None = [] if ANSWER in reading.names.values() else None
        """What is said while the answer is to come as the input of a call: none of the answer, unless none comes."""
        self._handlers: Mapping[str, Callable[[_Event], bytes]] = {
            "message_start": self._start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._stop,
        }

    def feed(self, data: bytes) -> bytes:
        """Take bytes as received, split anywhere; returns the chat events that they complete. Never raises."""
        if self._over:
            return b""
        if (
            self._framer.between
            and data.startswith(_DELTA)
            and data.endswith(b"\n\n")
            and data.find(b"\n", len(_DELTA)) == len(data) - 2
            and b"\r" not in data
        ):
            # One whole delta, as nearly everything arrives; the framer would take longer than all the rest.
            return self._translate(Event(data, data[len(_DELTA) : -2]))
        try:
            events = self._framer.feed(data)
        except EventTooLargeError:
            self._over = True
            return MALFORMED
        if len(events) == 1:
            return self._translate(events[0])
        return b"".join([self._translate(event) for event in events])

    def end(self) -> bytes:
        """The upstream has ended its body: only a last event that lacks its blank line can still complete it."""
        last = self.feed(b"\n\n")
        return last if last.endswith(DONE) else b""

    def _translate(self, event: Event) -> bytes:
        data = event.data
        if self._over or (data is None and event.error is None):
            return b""
        if data is None:
            return error_event(b'{"error":%b}' % (event.error or b"null"))
        try:
            read = _decode(data)
            handler = self._handlers.get(read.type)
            return self._unusual(data) if handler is None else handler(read)
        except (ValueError, RecursionError):
            return self._patiently(data)

    def _unusual(self, data: bytes) -> bytes:
        """An event of no type that says anything of the message."""
        value = read_json(data)
        if not isinstance(value, dict):
            return MALFORMED
        if value.get("error") is not None:
            return error_event(data)
        return b"" if isinstance(value.get("type"), str) else MALFORMED

    def _patiently(self, data: bytes) -> bytes:
        """An event that could not be decoded strictly: of an unknown type, with halves of surrogate pairs, or none."""
        if data.strip() == b"[DONE]":
            return b""  # Some servers add what chat ends in.
        try:
            value = read_json(data)
            if not isinstance(value, dict) or value.get("type") not in tuple(self._handlers):
                return self._unusual(data)
            read = msgspec.convert(value, _Event)
            return self._handlers[read.type](read)
        except (ValueError, RecursionError):
            return MALFORMED

    def _begun(self, message: Mapping[str, Any] | None = None) -> tuple[ChatEvents, bytes]:
        """The writer of events, and the role if it has just begun."""
        if self._events is not None:
            return self._events, b""
        told, reading = message or {}, self._reading
        id_, model = told.get("id"), told.get("model")
        self._events = ChatEvents(
            id_ if isinstance(id_, str) and id_ else reading.id,
            reading.created,
            model if isinstance(model, str) and model else reading.model,
        )
        return self._events, self._events.role()

    def _start(self, event: _Event) -> bytes:
        message = event.message
        if message is None:
            return MALFORMED
        self._count(message.get("usage"))
        return self._begun(message)[1]

    def _block_start(self, event: _Event) -> bytes:
        block = event.content_block
        if block is None or len(self._blocks) >= _MOST_BLOCKS:
            return MALFORMED
        events, role = self._begun()
        kind = text_at(block, "type")
        self._blocks[event.index] = opened = _Block(kind)
        if kind == "text":
            return role + self._say(text_at(block, "text"))
        if kind == "thinking":
            opened.signature = text_at(block, "signature")
            return role + self._think(opened, text_at(block, "thinking"))
        if kind == "redacted_thinking":
            opened.data = text_at(block, "data")
        elif kind == "tool_use":
            opened.input = block.get("input")
            sent = text_at(block, "name")
            name = self._reading.names.get(sent, sent)
            if name == ANSWER and sent:
                opened.is_answer = True
                self._held = None
                return role
            opened.call = self._calls
            self._calls += 1
            return role + events.call(opened.call, text_at(block, "id") or f"call_{opened.call}", name)
        return role

    def _block_delta(self, event: _Event) -> bytes:
        delta = event.delta
        if delta is None:
            return MALFORMED
        if delta.type == "text_delta" and self._held is None and self._events is not None:
            return self._events.text(delta.text) if delta.text else b""
        _, role = self._begun()
        if delta.type == "text_delta":
            return role + self._say(delta.text)
        block = self._blocks.get(event.index)
        if delta.type == "thinking_delta":
            return role + self._think(block, delta.thinking)
        if block is not None and delta.type == "signature_delta":
            block.signature += delta.signature
        elif block is not None and delta.type == "input_json_delta" and delta.partial_json:
            return role + self._fill(block, delta.partial_json)
        return role

    def _block_stop(self, event: _Event) -> bytes:
        block = self._blocks.pop(event.index, None)
        if block is None or self._events is None:
            return b""
        if block.kind == "tool_use" and not block.filled:
            return self._fill(block, "{}" if block.input is None else to_json(block.input).decode())
        kept: dict[str, str] = {}
        if block.kind == "thinking" and block.signature:
            kept = {"type": block.kind, "thinking": "".join(block.thoughts), "signature": block.signature}
        elif block.kind == "redacted_thinking" and block.data:
            kept = {"type": block.kind, "data": block.data}
        return self._events.delta({"thinking_blocks": [kept]}) if kept else b""

    def _message_delta(self, event: _Event) -> bytes:
        self._count(event.usage)
        if event.delta is not None and event.delta.stop_reason is not None:
            self._reason = event.delta.stop_reason
            self._details = event.delta.stop_details
        return b""

    def _stop(self, _: _Event) -> bytes:
        events, out = self._begun()
        self._over = True
        answered = self._held is None and ANSWER in self._reading.names.values()
        if self._held:
            out += events.text("".join(self._held))
        if self._reason is not None:
            reason = finish_reason(self._reason, called=self._calls > 0, answered=answered)
            refusal = refusal_in(self._details) if reason == "content_filter" else None
            out += events.finish(reason, None if refusal is None else {"refusal": refusal})
        if self._usage:
            out += events.usage(chat_usage(self._usage))
        return out + DONE

    def _say(self, text: str) -> bytes:
        if not text or self._events is None:
            return b""
        if self._held is not None:
            self._held.append(text)
            return b""
        return self._events.text(text)

    def _think(self, block: _Block | None, thoughts: str) -> bytes:
        if not thoughts or self._events is None:
            return b""
        if block is not None:
            block.thoughts.append(thoughts)
        return self._events.reasoning(thoughts)

    def _fill(self, block: _Block, piece: str) -> bytes:
        """A piece of the input of a call. Pieces for what the provider calls on its own are nobody's."""
        block.filled = True
        if self._events is None or not (block.is_answer or block.call is not None):
            return b""
        return self._events.text(piece) if block.is_answer else self._events.arguments(block.call or 0, piece)

    def _count(self, usage: object) -> None:
        """Take over what a usage tells. It counts from the beginning, so nothing is added up."""
        if isinstance(usage, dict):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)
