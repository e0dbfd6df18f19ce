"""The events of the responses wire as chat events.

Everything is told up to thrice: in deltas, whole, and in the last event, whose output may as well be empty. So what was
said of each item is noted by its place, and told once, at the first opportunity.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from proxy.dialects.chat_events import DONE, MALFORMED, ChatEvents, error_event, to_json
from proxy.dialects.dialect import Reading
from proxy.dialects.lenient_json import converted, text_at
from proxy.dialects.responses.usage import usage_of_event
from proxy.streams.sse import EventFramer, EventTooLargeError

_TEXTS = frozenset({"response.output_text.delta"})
_THOUGHTS = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_ARGUMENTS = "response.function_call_arguments.delta"
_INPUT = "response.custom_tool_call_input.delta"
_REFUSAL = "response.refusal.delta"
_CALLS = ("function_call", "custom_tool_call")


class _Event(Struct):
    type: str = ""
    delta: Any = None
    output_index: int = 0
    summary_index: int | None = None
    item: Any = None
    response: Any = None
    error: Any = None
    message: Any = None
    code: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class _Told:
    """What was told of one item."""

    __slots__ = ("call", "refused", "said", "summary")

    def __init__(self) -> None:
        self.said = False
        """Text, thoughts or arguments."""
        self.refused = False
        self.call: int | None = None
        """Its index among the calls, if it is one."""
        self.summary = 0
        """The part of its summary that was told last."""


class ResponsesTranslator:
    """Translates one stream."""

    __slots__ = ("_calls", "_events", "_framer", "_items", "_over", "_reading")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._framer = EventFramer()
        self._events: ChatEvents | None = None
        self._items: dict[int, _Told] = {}
        self._calls = 0
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """As `Translator.feed`."""
        try:
            events = self._framer.feed(data)
        except EventTooLargeError:
            self._over = True
            return MALFORMED
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            if event.error is not None:
                self._fail(b'{"error":%b}' % to_json(event.error.decode("utf-8", "replace")), out)
            elif event.data is not None and event.data != b"[DONE]":
                self._take(event.data, out)
        return b"".join(out)

    def end(self) -> bytes:
        """As `Translator.end`."""
        return b""

    def _take(self, data: bytes, out: list[bytes]) -> None:
        event = converted(_decode, _Event, data)
        if event is None:
            out.append(MALFORMED)
            return
        name = event.type
        if event.error is not None or name in {"error", "response.failed"}:
            self._fail(_error_of(event), out)
            return
        if not name:
            out.append(MALFORMED)
            return
        events = self._begun(event, out)
        if isinstance(event.delta, str) and name.endswith(".delta"):
            self._take_delta(events, event, event.delta, out)
        elif name in {"response.output_item.added", "response.output_item.done"}:
            self._take_item(events, event.output_index, event.item, out, whole=name.endswith("done"))
        elif name in {"response.completed", "response.incomplete"}:
            self._finish(events, event, data, out)

    def _begun(self, event: _Event, out: list[bytes]) -> ChatEvents:
        """The writer; the role comes first, whatever is first here."""
        if self._events is None:
            response = event.response if isinstance(event.response, dict) else {}
            id_, model = response.get("id"), response.get("model")
            self._events = ChatEvents(
                id_ if isinstance(id_, str) and id_ else self._reading.id,
                self._reading.created,
                model if isinstance(model, str) and model else self._reading.model,
            )
            out.append(self._events.role())
        return self._events

    def _fail(self, error: bytes, out: list[bytes]) -> None:
        self._over = True
        out.append(error_event(error))

    def _told(self, place: int) -> _Told:
        told = self._items.get(place)
        if told is None:
            told = self._items[place] = _Told()
        return told

    def _take_delta(self, events: ChatEvents, event: _Event, delta: str, out: list[bytes]) -> None:
        if not delta:
            return
        name = event.type
        told = self._told(event.output_index)
        if name in _TEXTS:
            out.append(events.text(delta))
        elif name in _THOUGHTS:
            part = event.summary_index or 0
            between = "\n\n" if part > told.summary and told.said else ""
            told.summary = part
            out.append(events.reasoning(between + delta))
        elif name == _REFUSAL:
            told.refused = True
            out.append(events.delta({"refusal": delta}))
            return
        elif name == _ARGUMENTS and told.call is not None:
            out.append(events.arguments(told.call, delta))
        elif name == _INPUT and told.call is not None:
            out.append(events.delta({"tool_calls": [{"index": told.call, "custom": {"input": delta}}]}))
        else:
            return
        told.said = True

    def _take_item(self, events: ChatEvents, place: int, item: object, out: list[bytes], *, whole: bool) -> None:
        """An item that begins, or is whole: what of it was not told in deltas."""
        if not isinstance(item, dict):
            return
        kind = item.get("type")
        told = self._told(place)
        if kind in _CALLS:
            self._take_call(events, told, item, out, whole=whole)
        elif whole and kind == "message":
            _take_message(events, told, item, out)
        elif whole and kind == "reasoning" and not told.said:
            thoughts = _texts(item.get("content"), "text") or _texts(item.get("summary"), "text", "\n\n")
            if thoughts:
                told.said = True
                out.append(events.reasoning(thoughts))

    def _take_call(
        self, events: ChatEvents, told: _Told, item: dict[str, Any], out: list[bytes], *, whole: bool
    ) -> None:
        custom = item.get("type") == "custom_tool_call"
        if told.call is None:
            told.call = self._calls
            self._calls += 1
            out.append(_call(events, told.call, item, custom=custom))
        said = item.get("input") if custom else item.get("arguments")
        # Some upstreams tell the arguments already where the item begins, and in deltas all the same.
        if whole and not told.said and isinstance(said, str) and said:
            told.said = True
            piece = {"index": told.call, "custom": {"input": said}}
            out.append(events.delta({"tool_calls": [piece]}) if custom else events.arguments(told.call, said))

    def _finish(self, events: ChatEvents, event: _Event, data: bytes, out: list[bytes]) -> None:
        self._over = True
        response = event.response if isinstance(event.response, dict) else {}
        output = response.get("output")
        for place, item in enumerate(output if isinstance(output, list) else ()):
            self._take_item(events, place, item, out, whole=True)
        out.append(events.finish(self._finish_reason(event.type, response)))
        if (usage := usage_of_event(data)) is not None:
            out.append(events.usage(json.loads(usage)["usage"]))
        out.append(DONE)

    def _finish_reason(self, name: str, response: dict[str, Any]) -> str:
        if name == "response.incomplete":
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            return "content_filter" if reason == "content_filter" else "length"
        return "tool_calls" if self._calls else "stop"


def _error_of(event: _Event) -> bytes:
    """The error of an event, in the shape of the chat wire."""
    response = event.response if isinstance(event.response, dict) else {}
    error = event.error or response.get("error") or {"message": event.message, "code": event.code}
    return to_json({"error": error})


def _take_message(events: ChatEvents, told: _Told, item: dict[str, Any], out: list[bytes]) -> None:
    text, refusal = _texts(item.get("content"), "text"), _texts(item.get("content"), "refusal")
    if text and not told.said:
        told.said = True
        out.append(events.text(text))
    if refusal and not told.refused:
        told.refused = True
        out.append(events.delta({"refusal": refusal}))


def _call(events: ChatEvents, index: int, item: dict[str, Any], *, custom: bool) -> bytes:
    id_, name = text_at(item, "call_id") or text_at(item, "id"), text_at(item, "name")
    if custom:
        call = {"index": index, "id": id_, "type": "custom", "custom": {"name": name, "input": ""}}
        return events.delta({"tool_calls": [call]})
    return events.call(index, id_, name)


def _texts(parts: object, member: str, between: str = "") -> str:
    """The texts of all parts of a list."""
    found = [part.get(member) for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return between.join(text for text in found if isinstance(text, str) and text)
