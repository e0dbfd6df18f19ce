"""The chat events of a stream as events of the responses wire.

Theory of operation
-------------------
A response is a row of *items*: thoughts, messages, calls of functions. Each has its place in the row (`output_index`),
and is told thrice: that it begins, in deltas, and whole. Thoughts and messages come one after the other, so at most one
of them is open, and in it one *part*. Calls of functions may be told all at once, so each stays open until the finish
reason. Events are numbered throughout. The last one repeats the whole response, with the usage, and so waits for the
terminal marker, behind which nothing follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.dialects.chat_content import text_of, thoughts_in
from proxy.dialects.chat_events import CallPiece, Chunk, ChunkChoice, Delta, read_chunks, to_json
from proxy.dialects.client_wire import Speaking
from proxy.dialects.lenient_json import number_at, text_at
from proxy.dialects.raw_json import NULL
from proxy.dialects.responses.document import REASONS, ResponseDocument, refusal_part, text_part
from proxy.dialects.responses.freeform import input_of, names_in
from proxy.dialects.responses.open_items import Call, Foreign, Message, Part, Reasoning
from proxy.dialects.responses.usage import usage_of_chat
from proxy.dialects.sent_events import sent_events

_ERROR_CODES: Final = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})
"""Those of the wire's codes that we have a use for; everything else is the first."""
_PARTS_DONE: Final = frozenset({"response.content_part.done", "response.reasoning_summary_part.done"})

_Item = Reasoning | Message | Call | Foreign


class ResponsesEncoder:
    """Writes the events of one stream."""

    __slots__ = (
        "_calls",
        "_document",
        "_ended",
        "_freeform",
        "_incomplete",
        "_items",
        "_open",
        "_out",
        "_part",
        "_sequence",
        "_started",
        "_usage",
    )

    def __init__(self, speaking: Speaking) -> None:
        self._document = ResponseDocument(speaking)
        self._freeform = names_in(speaking.request.fields.get("tools", NULL))
        """Names of tools whose calls are told as those of tools that take any text."""
        self._sequence = 0
        self._out: list[bytes] = []
        """Events that the feed under way has given so far."""
        self._items: list[_Item] = []
        """In the order of their places."""
        self._open: Reasoning | Message | Foreign | None = None
        self._part: Part | None = None
        """What is being said: a part of the open item."""
        self._calls: dict[int, Call] = {}
        """Calls that are not told whole yet, by their index on the chat wire."""
        self._incomplete: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._started = False
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """Take whole chat events that were found good; returns events for the client."""
        for chunk in read_chunks(data):
            if self._ended:
                break
            if isinstance(chunk, Chunk):
                self._take(chunk)
            elif chunk is None:
                self._end()
            else:
                self._out.append(chunk)
        return self._flush()

    def adopt(self, data: bytes) -> None:
        """As `Encoder.adopt`."""
        for event in sent_events(data):
            number = number_at(event, "sequence_number")
            self._sequence = (self._sequence if number is None else number) + 1
            self._adopt(text_at(event, "type"), event)

    def error(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """The events that end a stream which cannot be finished."""
        if self._ended:
            return b""
        self._start(None)
        known = code if code in _ERROR_CODES else "server_error"
        error = {"code": known, "message": message, "type": code, "reason": reason, "retryable": retryable}
        self._finish("failed", error=error)
        return self._flush()

    def _flush(self) -> bytes:
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def _take(self, chunk: Chunk) -> None:
        if not self._started:
            self._start(chunk.model)
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._take_choice(choice)
        if chunk.usage:
            self._usage = usage_of_chat(chunk.usage) or self._usage

    def _take_choice(self, choice: ChunkChoice) -> None:
        delta = choice.delta
        if delta is not None:
            content = delta.content
            part = self._part
            if (
                part is not None
                and part.kind == "output_text"
                and content
                and isinstance(content, str)
                and not (delta.reasoning_content or delta.refusal or delta.tool_calls)
            ):
                # Nearly always: the text goes on.
                self._say(part, content)
            else:
                self._take_delta(delta)
        if choice.finish_reason:
            self._incomplete = REASONS.get(choice.finish_reason)
            self._close(status="incomplete" if self._incomplete else "completed")

    def _take_delta(self, delta: Delta) -> None:
        if thoughts := delta.reasoning_content or thoughts_in(delta.content):
            self._say(self._thinking(), thoughts)
        if text := text_of(delta.content):
            self._say(self._telling("output_text"), text)
        if delta.refusal:
            self._say(self._telling("refusal"), delta.refusal)
        for piece in delta.tool_calls or ():
            self._take_call(piece)

    # What somebody else has sent.

    def _adopt(self, name: str, event: Mapping[str, Any]) -> None:
        told = event.get("response")
        if isinstance(told, dict) and not self._started:
            self._started = True
            self._document.adopt(told)
        item = event.get("item")
        if name == "response.output_item.added" and isinstance(item, dict):
            self._adopt_item(item)
        elif name == "response.output_item.done" and isinstance(item, dict):
            self._adopt_end(item)
        elif name == "response.content_part.added" and isinstance(self._open, Message):
            kind = text_at(event.get("part"), "type")
            self._part = self._open.begin("refusal" if kind == "refusal" else "output_text")
        elif name == "response.reasoning_summary_part.added" and isinstance(self._open, Reasoning):
            self._part = self._open.begin("summary_text")
        elif name in _PARTS_DONE:
            self._part = None
        elif self._part is not None and name == self._part.delta:
            self._part.pieces.append(text_at(event, "delta"))

    def _adopt_item(self, told: Mapping[str, Any]) -> None:
        place, kind = len(self._items), told.get("type")
        item: Reasoning | Message | Foreign
        if kind == "message":
            item = Message(self._document.id, place)
        else:
            item = Reasoning(self._document.id, place) if kind == "reasoning" else Foreign(told, place)
        item.id = text_at(told, "id") or item.id
        self._items.append(item)
        self._open, self._part = item, None

    def _adopt_end(self, told: Mapping[str, Any]) -> None:
        """Calls may be told side by side, so it need not be the newest that ends."""
        for item in self._items:
            if item.whole is None and (item.id == text_at(told, "id") or len(self._items) == 1):
                item.whole = to_json(told)
                if item is self._open:
                    self._open = self._part = None

    # Messages and thoughts.

    def _say(self, part: Part, text: str) -> None:
        part.pieces.append(text)
        self._out.append(b"%b%b%b%d}\n\n" % (part.head, to_json(text), part.tail, self._sequence))
        self._sequence += 1

    def _thinking(self) -> Part:
        """The part of the thoughts that goes on, or a new one."""
        part = self._part
        if part is not None and part.kind == "summary_text":
            return part
        self._close_open("completed")
        item = Reasoning(self._document.id, len(self._items))
        self._add(item)
        self._open = item
        return self._begin(item, "summary_text", {"type": "summary_text", "text": ""})

    def _telling(self, kind: str) -> Part:
        """The part of the message that goes on, or a new one of that kind."""
        part = self._part
        if part is not None and part.kind == kind:
            return part
        item = self._open
        if isinstance(item, Message):
            self._close_part()
        else:
            self._close_open("completed")
            item = Message(self._document.id, len(self._items))
            self._add(item)
            self._open = item
        return self._begin(item, kind, text_part("") if kind == "output_text" else refusal_part(""))

    def _add(self, item: _Item) -> None:
        self._items.append(item)
        self._event("response.output_item.added", {"output_index": item.place, "item": item.document("in_progress")})

    def _begin(self, item: Reasoning | Message, kind: str, empty: Mapping[str, Any]) -> Part:
        part = item.begin(kind)
        self._part = part
        self._event(item.PART_ADDED, {**part.where, "part": empty})
        return part

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        item = self._open
        whole = part.document()
        self._event(part.done, {**part.where, **part.told()})
        if isinstance(item, Reasoning | Message):
            self._event(item.PART_DONE, {**part.where, "part": whole})

    def _close_open(self, status: str) -> None:
        self._close_part()
        if self._open is not None:
            self._close_item(self._open, status)
            self._open = None

    # Calls.

    def _take_call(self, piece: CallPiece) -> None:
        function = piece.function
        name = (function.name if function else None) or ""
        call = self._calls.get(piece.index)
        if call is None or (name and call.name and piece.id and piece.id != call.call_id):
            # Some upstreams give all their calls the same index; they tell them apart by their ids.
            if call is not None:
                self._close_call(call, "completed")
            call = self._calls[piece.index] = Call(self._document.id)
        if not call.begun:
            call.call_id = call.call_id or piece.id or ""
            call.name = call.name or name
        if function is not None and function.arguments:
            call.pieces.append(function.arguments)
        # Some upstreams tell the name late, and an item cannot begin without it.
        if call.name:
            self._tell_call(call)

    def _tell_call(self, call: Call) -> None:
        """What the client has not been told of a call."""
        if not call.begun:
            self._close_open("completed")
            call.freeform = call.name in self._freeform
            taken = {item.call_id for item in self._items if isinstance(item, Call)}
            call.begin(len(self._items), taken)
            self._add(call)
        for piece in call.untold():
            self._out.append(b"%b%b%b%d}\n\n" % (call.head, to_json(piece), call.tail, self._sequence))
            self._sequence += 1

    def _close_call(self, call: Call, status: str) -> None:
        if not call.pieces:
            call.pieces.append("{}")
        self._tell_call(call)
        if call.freeform:
            told = {**call.where, "delta": input_of(call.arguments)}
            self._event("response.custom_tool_call_input.delta", told)
            self._event("response.custom_tool_call_input.done", {**call.where, "input": told["delta"]})
        else:
            self._event("response.function_call_arguments.done", {**call.where, "arguments": call.arguments})
        self._close_item(call, status)

    # The response.

    def _start(self, model: str | None) -> None:
        if self._started:
            return
        self._started = True
        if model:
            self._document.model = model
        response = self._document.write("in_progress")
        for name in ("response.created", "response.in_progress"):
            self._response(name, response)

    def _close(self, *, status: str) -> None:
        """Tell whole what is still open; `status` is that of the last item, which alone can have been cut."""
        calls = list(self._calls.values())
        self._calls.clear()
        self._close_open("completed" if calls else status)
        for call in calls:
            self._close_call(call, status if call is calls[-1] else "completed")

    def _close_item(self, item: _Item, status: str) -> None:
        item.whole = to_json(item.document(status))
        # As JSON that is there already, since the last event repeats it.
        name = b"response.output_item.done"
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,"output_index":%d,"item":%b}\n\n'
            % (name, name, self._sequence, item.place, item.whole)
        )
        self._sequence += 1

    def _end(self) -> None:
        self._start(None)
        status = "incomplete" if self._incomplete else "completed"
        self._close(status=status)
        self._finish(status)

    def _finish(self, status: str, *, error: Mapping[str, Any] | None = None) -> None:
        self._ended = True
        output = [item.whole or to_json(item.document("incomplete")) for item in self._items]
        response = self._document.write(
            status, output, incomplete=self._incomplete if error is None else None, error=error, usage=self._usage
        )
        self._response(f"response.{status}", response)

    def _response(self, name: str, response: bytes) -> None:
        word = name.encode()
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,"response":%b}\n\n'
            % (word, word, self._sequence, response)
        )
        self._sequence += 1

    def _event(self, name: str, members: Mapping[str, Any]) -> None:
        told = to_json({"type": name, "sequence_number": self._sequence, **members})
        self._out.append(b"event: %b\ndata: %b\n\n" % (name.encode(), told))
        self._sequence += 1
