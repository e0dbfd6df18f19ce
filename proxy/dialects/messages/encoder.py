"""Chat events as Anthropic's: a state machine.

Theory of operation
-------------------
`message_start` comes before anything. Then there are blocks, one after the other: one of thoughts, one of text, one for
each call of a tool. Clients attribute what comes while two are open to the wrong one, so only one is, and what belongs
to another waits. A block of text or thoughts ends as soon as something else comes; a call only when its arguments are
whole, since upstreams may mix the pieces of parallel calls (Switchyard#760, praxis#266, kitty-bridge#116). A call is
told from others by its index, and begins when its name is known: some upstreams repeat id and name with every piece,
others tell them late.

The finish reason closes all blocks. What the answer cost may come behind it, so `message_delta`, which tells both, and
`message_stop` wait for the usage or for `[DONE]`. Without a finish reason there is neither: nothing is made up.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.chat_content import text_of, thoughts_in
from proxy.dialects.chat_events import CallPiece, CallPieceFunction, Chunk, ChunkChoice, Delta, read_chunks, to_json
from proxy.dialects.client_wire import Speaking
from proxy.dialects.lenient_json import number_at, text_at
from proxy.dialects.messages.answers import (
    estimated_usage,
    refusal_details,
    stop_reason,
    thoughts_of,
    usage_of_chat,
)
from proxy.dialects.messages.blocks import CALL, PING, REDACTED, TEXT, THINKING, Block, BlockWriter
from proxy.dialects.messages.errors import error_event
from proxy.dialects.messages.names import client_names, tool_use_id
from proxy.dialects.sent_events import sent_events

STOP_EVENT: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_MOST_CALLS: Final = 1024
"""Calls in one answer; what is beyond is no answer."""
_NO_FUNCTION: Final = CallPieceFunction()


class MessagesEncoder:
    """The state of one stream."""

    __slots__ = (
        "_begun",
        "_blocks",
        "_calls",
        "_ended",
        "_finish",
        "_matched",
        "_names",
        "_refusal",
        "_said",
        "_speaking",
        "_started",
        "_thought",
        "_usage",
        "_waiting",
    )

    def __init__(self, speaking: Speaking) -> None:
        self._speaking = speaking
        self._names: dict[str, str] | None = None
        self._blocks = BlockWriter()
        self._waiting: list[Block] = []
        self._calls: dict[int, Block] = {}
        self._begun = 0
        """How many calls have begun."""
        self._thought: Block | None = None
        """The newest block of thoughts."""
        self._said = 0
        self._refusal = ""
        self._usage: dict[str, Any] | None = None
        self._finish: str | None = None
        self._matched: Any = None
        self._started = self._ended = False

    def feed(self, data: bytes) -> bytes:
        """Take whole chat events that were found good; returns events for the client."""
        out: list[bytes] = []
        for item in read_chunks(data):
            if self._ended:
                break
            if not self._started:
                if isinstance(item, bytes):
                    # Nothing may come before the message has begun, and it begins with the model that answers.
                    continue
                self._start(None if item is None else item.model, out)
            if item is None:
                self._end(out)
            elif isinstance(item, bytes):
                out.append(PING)
            else:
                self._take(item, out)
        return b"".join(out)

    def adopt(self, data: bytes) -> None:
        """As `Encoder.adopt`."""
        for event in sent_events(data):
            self._started = True
            name = text_at(event, "type")
            if name == "content_block_start":
                block = self._blocks.adopt(number_at(event, "index") or 0, text_at(event.get("content_block"), "type"))
                if block.kind == THINKING:
                    self._thought = block
                    block.since = self._said
            elif name == "content_block_delta":
                delta = event.get("delta")
                self._said += sum(len(text_at(delta, leaf)) for leaf in ("text", "thinking", "partial_json"))
            elif name == "content_block_stop":
                self._blocks.adopt_end()

    def error(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """The event that ends a stream which cannot be finished. Nothing follows it."""
        self._ended = True
        return error_event(message, code, reason=reason, retryable=retryable)

    def _start(self, model: str | None, out: list[bytes]) -> None:
        self._started = True
        speaking = self._speaking
        message: dict[str, Any] = {
            "id": f"msg_{speaking.id}",
            "type": "message",
            "role": "assistant",
            "model": model or speaking.request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Nobody has counted yet: the count comes at the end, and overwrites this one.
            "usage": estimated_usage(speaking, 0),
        }
        told = to_json({"type": "message_start", "message": message})
        out.append(b"event: message_start\ndata: " + told + b"\n\n")

    def _take(self, chunk: Chunk, out: list[bytes]) -> None:
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            if chunk.usage is not None and self._finish is not None:
                self._end(out)
            return
        for choice in chunk.choices:
            if choice.index == 0:
                if choice.delta is not None:
                    self._add(choice.delta, out)
                if choice.finish_reason:
                    self._finished(choice, out)

    def _add(self, delta: Delta, out: list[bytes]) -> None:
        """What one event adds: thoughts first, then text, then calls."""
        content = delta.content
        if type(content) is str:
            thinking = delta.reasoning_content
        else:
            thinking = delta.reasoning_content or thoughts_in(content)
            content = text_of(content)
        if thinking:
            self._say(THINKING, thinking, out)
        if delta.thinking_blocks:
            self._sign(delta.thinking_blocks, out, told=bool(thinking))
        if content:
            self._say(TEXT, content, out)
        if delta.refusal:
            self._refusal += delta.refusal
            self._say(TEXT, delta.refusal, out)
        for piece in delta.tool_calls or ():
            self._call(piece, out)

    def _say(self, kind: str, piece: str, out: list[bytes]) -> None:
        self._said += len(piece)
        block = self._blocks.open
        if block is not None and block.kind == kind and block.signature is None:
            out.append(self._blocks.write(piece))
            return
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.kind != kind or last.signature is not None:
            last = self._wait(kind)
            last.since = self._said - len(piece)
        last.pieces.append(piece)
        self._advance(out)

    def _sign(self, blocks: object, out: list[bytes], *, told: bool) -> None:
        """Thoughts in the form of the extension: their text, unless it was `told` already, and their signature."""
        for block in thoughts_of(blocks):
            if block["type"] == REDACTED:
                self._wait(REDACTED).id = block["data"]
                self._advance(out)
                continue
            thought = self._thought
            open_ = thought is not None and not thought.closed and thought.signature is None
            # Some tell thoughts once more, as a whole, when they sign them.
            whole = open_ and thought is not None and len(block["thinking"]) == self._said - thought.since
            if block["thinking"] and not told and not whole:
                self._say(THINKING, block["thinking"], out)
            if not block["signature"]:
                continue
            thought = self._thought
            if thought is None or thought.signature is not None:
                # Thoughts of which only the signature is told.
                thought = self._wait(THINKING)
                self._advance(out)
            if not thought.closed:
                thought.signature = block["signature"]

    def _call(self, piece: CallPiece, out: list[bytes]) -> None:
        function = piece.function or _NO_FUNCTION
        block = self._calls.get(piece.index)
        if block is None or _is_another(block, piece, function):
            if self._begun + len(self._waiting) >= _MOST_CALLS:
                return
            block = self._calls[piece.index] = self._wait(CALL)
        if block.closed:
            return
        block.id = block.id or piece.id or ""
        block.name = block.name or function.name or ""
        if function.arguments:
            self._said += len(function.arguments)
            block.end.feed(function.arguments)
            if block is self._blocks.open:
                out.append(self._blocks.write(function.arguments))
            else:
                block.pieces.append(function.arguments)
        if self._waiting:
            self._advance(out)

    def _wait(self, kind: str) -> Block:
        block = Block(kind)
        self._waiting.append(block)
        if kind == THINKING:
            self._thought = block
        return block

    def _advance(self, out: list[bytes], *, finished: bool = False) -> None:
        """Begin what waits, if what is open may end."""
        while self._waiting:
            block = self._blocks.open
            if block is not None and not block.closable and not finished:
                return
            ready = next((each for each in self._waiting if each.ready), None)
            if ready is None:
                return
            self._waiting.remove(ready)
            out.append(self._blocks.begin(ready, self._beginning(ready)))

    def _beginning(self, block: Block) -> dict[str, Any]:
        if block.kind == TEXT:
            return {"type": TEXT, "text": ""}
        if block.kind == THINKING:
            return {"type": THINKING, "thinking": "", "signature": ""}
        if block.kind == REDACTED:
            return {"type": REDACTED, "data": block.id}
        if self._names is None:
            self._names = client_names(self._speaking.request.fields)
        self._begun += 1
        block.id = block.id or f"toolu_{self._speaking.id}{self._begun}"
        name = self._names.get(block.name, block.name)
        return {"type": CALL, "id": tool_use_id(block.id), "name": name, "input": {}}

    def _finished(self, choice: ChunkChoice, out: list[bytes]) -> None:
        self._finish = choice.finish_reason
        self._matched = choice.stop_reason
        self._settle(out)

    def _settle(self, out: list[bytes]) -> None:
        """Everything that waits is written, and nothing is left open."""
        self._advance(out, finished=True)
        out.append(self._blocks.close())

    def _end(self, out: list[bytes]) -> None:
        if self._finish is None:
            return
        self._ended = True
        self._settle(out)
        reason, sequence = stop_reason(self._finish, self._matched, self._speaking, called=self._begun > 0)
        delta: dict[str, Any] = {"stop_reason": reason, "stop_sequence": sequence}
        if self._refusal or reason == "refusal":
            delta |= {"stop_reason": "refusal", "stop_details": refusal_details(self._refusal or None)}
        usage = usage_of_chat(self._usage) or estimated_usage(self._speaking, self._said)
        told = to_json({"type": "message_delta", "delta": delta, "usage": usage})
        out.append(b"event: message_delta\ndata: " + told + b"\n\n")
        out.append(STOP_EVENT)


def _is_another(block: Block, piece: CallPiece, function: CallPieceFunction) -> bool:
    """Whether a piece begins another call under the same index, as some do who never count (litellm#16194)."""
    return bool(block.end.complete and function.name and piece.id and block.id and piece.id != block.id)
