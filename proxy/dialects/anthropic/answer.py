"""A whole answer of Messages as a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.core.failure import Failure
from proxy.dialects.anthropic.names import ANSWER
from proxy.dialects.anthropic.wordings import chat_usage, finish_reason, refusal_in
from proxy.dialects.chat_events import chat_completion, to_json, tool_call
from proxy.dialects.dialect import Reading
from proxy.dialects.lenient_json import read_json, text_at
from proxy.dialects.no_answer import unreadable, without_bom


def read_answer(body: bytes, reading: Reading) -> bytes | Failure:
    """The answer as the JSON of a chat completion, or the failure that it is. Never raises, whatever the bytes.

    The codes are `empty_body`, `invalid_json` and `wrong_schema` (JSON, but no answer of Messages). An error goes back
    as it came.
    """
    body = without_bom(body)
    try:
        answer = read_json(body)
        is_error = isinstance(answer, dict) and answer.get("error") is not None
        if is_error:
            return body
        return _completion(answer, reading) if _is_message(answer) else unreadable(body, "a message")
    except (ValueError, RecursionError):
        return unreadable(body, "a message")


def _is_message(answer: object) -> bool:
    return (
        isinstance(answer, dict)
        and answer.get("type", "message") == "message"
        and isinstance(answer.get("content"), list)
        and all(isinstance(block, dict) for block in answer["content"])
        and isinstance(answer.get("stop_reason"), str)
    )


def _completion(answer: Mapping[str, Any], reading: Reading) -> bytes:
    said = _Said(reading.names)
    for block in answer["content"]:
        said.read(block)
    reason = finish_reason(answer["stop_reason"], called=bool(said.calls), answered=said.answered)
    message = said.message
    if reason == "content_filter" and (refusal := refusal_in(answer.get("stop_details"))) is not None:
        message["refusal"] = refusal
    usage = answer.get("usage")
    return chat_completion(
        text_at(answer, "id") or reading.id,
        reading.created,
        text_at(answer, "model") or reading.model,
        message,
        reason,
        chat_usage(usage) if isinstance(usage, dict) else None,
    )


class _Said:
    """What the blocks of an answer say, by the members of a chat message."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._kept: dict[str, list[Any]] = {}
        """Extensions."""
        self.calls: list[dict[str, Any]] = []
        self._answer: str | None = None
        """The input of the tool whose input is the answer. What was said around it is none."""

    def read(self, block: Mapping[str, Any]) -> None:
        kind = block.get("type")
        if kind == "text":
            self._texts.append(text_at(block, "text"))
            if isinstance(citations := block.get("citations"), list):
                self._kept.setdefault("citations", []).extend(citations)
        elif kind == "thinking":
            self._thoughts.append(text_at(block, "thinking"))
            if text_at(block, "signature"):
                self._keep("thinking_blocks", block)
        elif kind == "redacted_thinking":
            self._keep("thinking_blocks", block)
        elif kind == "tool_use":
            self._call(block)
        else:
            # What the provider did on its own: no client can answer such a call.
            self._keep("server_blocks", block)

    def _keep(self, name: str, block: Mapping[str, Any]) -> None:
        self._kept.setdefault(name, []).append(block)

    def _call(self, block: Mapping[str, Any]) -> None:
        given = block.get("input")
        arguments = to_json({} if given is None else given).decode()
        name = text_at(block, "name")
        name = self._names.get(name, name)
        if name == ANSWER and block.get("name"):
            self._answer = arguments
        else:
            self.calls.append(tool_call(text_at(block, "id") or f"call_{len(self.calls)}", name, arguments))

    @property
    def answered(self) -> bool:
        """A tool was called whose input is the answer."""
        return self._answer is not None

    @property
    def message(self) -> dict[str, Any]:
        """The message, without its role."""
        texts = self._texts if self._answer is None else [self._answer]
        message: dict[str, Any] = {"content": "".join(texts) or None}
        if thoughts := "".join(self._thoughts):
            message["reasoning_content"] = thoughts
        if self.calls:
            message["tool_calls"] = self.calls
        return {**message, **{name: blocks for name, blocks in self._kept.items() if blocks}}
