"""What Converse answers, whole, and the words that its stream shares with it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.chat_events import chat_completion, tool_call, usage_of
from proxy.dialects.dialect import Reading
from proxy.dialects.failures import IN_BAND
from proxy.dialects.lenient_json import decoded_or_none
from proxy.dialects.no_answer import unreadable

_CLOSED: Final = Raw(b"{}")
_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
MALFORMED_OUTPUT: Final = "malformed_"
"""How those stop reasons begin that say that the model wrote nothing of use."""


class Usage(Struct, gc=False):
    """Tokens; those from and for the cache are not among the input."""

    input: int = msgspec.field(name="inputTokens", default=0)
    output: int = msgspec.field(name="outputTokens", default=0)
    cache_read: int | None = msgspec.field(name="cacheReadInputTokens", default=None)
    cache_write: int | None = msgspec.field(name="cacheWriteInputTokens", default=None)

    def on_chat(self) -> dict[str, Any]:
        """As chat has it."""
        prompt = self.input + (self.cache_read or 0) + (self.cache_write or 0)
        return usage_of(max(prompt, 0), max(self.output, 0), cached=self.cache_read, cache_write=self.cache_write)


class ToolUse(Struct, gc=False, rename="camel"):
    """A call of a tool; `type` is set where Amazon calls it itself."""

    tool_use_id: str = ""
    name: str = ""
    input: Raw = _CLOSED
    type: str | None = None


class ReasoningText(Struct, gc=False):
    """Thoughts that can be read."""

    text: str = ""
    signature: str | None = None


class Reasoning(Struct, gc=False, rename="camel"):
    """Thoughts."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Text(Struct, gc=False):
    """A piece of text with sources."""

    text: str | None = None


class Citations(Struct, gc=False):
    """Text with sources."""

    content: list[Text] = []


class Block(Struct, gc=False, rename="camel"):
    """A block of an answer."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None


class _Message(Struct, gc=False):
    content: list[Block] = []


class _Output(Struct, gc=False):
    message: _Message | None = None


class _Answer(Struct, gc=False, rename="camel"):
    output: _Output
    stop_reason: str
    usage: Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes, reading: Reading) -> bytes | Failure:
    """A whole answer as a chat completion, or the failure that it is. Never raises."""
    answer = decoded_or_none(_decode, body)
    if answer is None or answer.output.message is None:
        return unreadable(body, "an answer of Converse")
    if answer.stop_reason.startswith(MALFORMED_OUTPUT):
        return Failure(FailureClass.BAD_ANSWER, IN_BAND, f"the model's output was of no use: {answer.stop_reason}")
    message = _message(answer.output.message.content, reading)
    finish = finish_reason(answer.stop_reason, called="tool_calls" in message)
    usage = answer.usage.on_chat() if answer.usage is not None else None
    return chat_completion(reading.id, reading.created, reading.model, message, finish, usage)


def _message(blocks: list[Block], reading: Reading) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        if block.text is not None:
            texts.append(block.text)
        elif block.citations_content is not None:
            texts += [piece.text for piece in block.citations_content.content if piece.text]
        elif block.reasoning_content is not None:
            thoughts.append(_thought(block.reasoning_content))
        elif (use := block.tool_use) is not None and use.type is None:
            name = reading.names.get(use.name, use.name)
            calls.append(tool_call(use.tool_use_id, name, bytes(use.input).decode("utf-8", "replace")))
    message: dict[str, Any] = {"content": "".join(texts) or None}
    if told := "".join(thought.get("thinking", "") for thought in thoughts):
        message["reasoning_content"] = told
    if signed := [thought for thought in thoughts if thought.get("signature") or thought.get("data")]:
        message["thinking_blocks"] = signed
    if calls:
        message["tool_calls"] = calls
    return message


def _thought(reasoning: Reasoning) -> dict[str, Any]:
    if reasoning.redacted_content is not None:
        return hidden_thought(reasoning.redacted_content)
    told = reasoning.reasoning_text or ReasoningText()
    return signed_thought(told.text, told.signature)


def signed_thought(text: str, signature: str | None) -> dict[str, Any]:
    """Thoughts as they are to be sent back with the next question."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def hidden_thought(data: str) -> dict[str, Any]:
    """The same of thoughts that are encrypted."""
    return {"type": "redacted_thinking", "data": data}


def finish_reason(stop_reason: str, *, called: bool) -> str:
    """The finish reason of a stop reason; `called` says that tools were called by it."""
    finish = _FINISH.get(stop_reason, "stop")
    if called and finish == "stop":
        return "tool_calls"
    # A tool that Amazon called itself is nothing that a client could answer.
    return "stop" if finish == "tool_calls" and not called else finish
