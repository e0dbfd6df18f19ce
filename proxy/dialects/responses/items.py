"""The input of the responses wire as the messages of a chat completion.

What one turn of the model gave as several items (thoughts, messages, calls of tools) is one message of the assistant:
providers refuse calls that were made at once but stand in messages of their own. What the tools returned follows that
message at once, wherever it stood in the input, since most refuse anything in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.raw_json import NULL, is_text, joined
from proxy.dialects.responses.freeform import arguments_of
from proxy.dialects.responses.parts import content_of, parts_of, word

_ROLES = ("user", "system", "developer")
_DONE_ELSEWHERE = frozenset({"code_interpreter_call", "file_search_call", "mcp_list_tools", "web_search_call"})
"""Items in which OpenAI tells what it did: nobody else can read them, and the messages behind them say what came of
it."""
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_PARAGRAPH = rb"\n\n"
_SHOWN = Raw(b'"The output is in the next message."')
_NO_ARGUMENTS = Raw(b'"{}"')

_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def messages_of(instructions: Raw, given: Raw) -> list[dict[str, Any]]:
    """The messages of a request. Raises NotCarriedError for what has no counterpart among them."""
    turns = _Turns()
    if instructions != NULL:
        if not is_text(instructions):
            raise NotCarriedError("'instructions' must be a string.", "instructions")
        turns.say("system", instructions)
    if is_text(given):
        turns.say("user", given)
        return turns.messages()
    try:
        items = _decode_items(given)
    except (ValueError, RecursionError):
        raise NotCarriedError("'input' must be a string, or a list of objects.", "input") from None
    for index, item in enumerate(items):
        _add(turns, item, f"input[{index}]")
    return turns.messages()


class _Turn:
    """One message, and what must follow it."""

    __slots__ = ("answers", "calls", "content", "message", "shown", "thoughts")

    def __init__(self, role: str) -> None:
        self.message: dict[str, Any] = {"role": role}
        self.content: list[dict[str, Any]] = []
        self.thoughts: list[Raw] = []
        self.calls: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        """What the tools returned."""
        self.shown: list[dict[str, Any]] = []
        """Parts of that which only a user may send: images and files."""


class _Turns:
    """The messages as they come to be."""

    __slots__ = ("_assistant", "_callers", "_turns")

    def __init__(self) -> None:
        self._turns: list[_Turn] = []
        self._assistant: _Turn | None = None
        """The turn of the model that is not over."""
        self._callers: dict[bytes, _Turn] = {}

    def say(self, role: str, content: Raw) -> None:
        """A message of anybody but the model."""
        turn = _Turn(role)
        turn.message["content"] = content
        self._turns.append(turn)
        self._assistant = None

    def assistant(self) -> _Turn:
        """The turn of the model that goes on, or a new one."""
        if self._assistant is None:
            self._assistant = _Turn("assistant")
            self._turns.append(self._assistant)
        return self._assistant

    def call(self, id_: Raw, function: dict[str, Any]) -> None:
        """The model has called a tool."""
        turn = self.assistant()
        turn.calls.append({"id": id_, "type": "function", "function": function})
        self._callers[bytes(id_)] = turn

    def answer(self, id_: Raw, content: Raw, shown: list[dict[str, Any]]) -> None:
        """A tool has returned something."""
        message = {"role": "tool", "tool_call_id": id_, "content": content}
        turn = self._callers.get(bytes(id_))
        if turn is None:
            # Nothing here has called it. Whether that is wrong is the upstream's to say.
            turn = _Turn("")
            self._turns.append(turn)
        turn.answers.append(message)
        turn.shown += shown
        if turn is self._assistant:
            self._assistant = None

    def messages(self) -> list[dict[str, Any]]:
        """All messages, in order."""
        messages: list[dict[str, Any]] = []
        for turn in self._turns:
            if turn.message["role"] == "assistant":
                messages += _assistant_message(turn)
            elif turn.message["role"]:
                messages.append(turn.message)
            messages += turn.answers
            if turn.shown:
                messages.append({"role": "user", "content": turn.shown})
        return messages


def _assistant_message(turn: _Turn) -> list[dict[str, Any]]:
    """The message of a turn of the model; none if nothing is left of it but thoughts."""
    if not turn.content and not turn.calls:
        return []
    message = {**turn.message, "content": _assistant_content(turn.content)}
    if turn.thoughts:
        message["reasoning_content"] = joined(turn.thoughts, _PARAGRAPH)
    if turn.calls:
        message["tool_calls"] = turn.calls
    return [message]


def _assistant_content(parts: Sequence[Any]) -> Raw:
    """One text where that is possible: many upstreams take no parts from the assistant."""
    if not parts:
        return NULL
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return joined(texts, _PARAGRAPH) if len(texts) == len(parts) else content_of(list(parts))


def _add(turns: _Turns, item: dict[str, Raw], place: str) -> None:
    kind = word(item.get("type", NULL), f"{place}.type")
    if kind == "message" or (not kind and "role" in item):
        _add_message(turns, item, place)
    elif kind == "function_call":
        _add_call(turns, item, place)
    elif kind == "custom_tool_call":
        _check_text(item, "input", place)
        _add_call(turns, {**item, "arguments": arguments_of(item["input"])}, place)
    elif kind in _OUTPUTS:
        _add_answer(turns, item, place)
    elif kind == "reasoning":
        _add_reasoning(turns, item, place)
    elif kind not in _DONE_ELSEWHERE:
        raise NotCarriedError(f"An item of the type {kind[:50]!r} has no counterpart in a chat completion.", place)


def _add_message(turns: _Turns, item: dict[str, Raw], place: str) -> None:
    role = word(item.get("role", NULL), f"{place}.role")
    parts = parts_of(item.get("content", NULL), f"{place}.content")
    kinds = {part["type"] for part in parts}
    if role == "assistant":
        _check_kinds(kinds - {"text", "refusal"}, role, place)
        # The parts of one message are one text; several messages are paragraphs.
        if parts and kinds == {"text"}:
            parts = [{"type": "text", "text": joined([part["text"] for part in parts])}]
        turns.assistant().content += parts
    elif role in _ROLES:
        _check_kinds(kinds - {"text"} if role != "user" else kinds & {"refusal"}, role, place)
        turns.say(role, content_of(parts))
    else:
        raise NotCarriedError(f"The role {role[:50]!r} has no counterpart in a chat completion.", f"{place}.role")


def _check_kinds(wrong: set[str], role: str, place: str) -> None:
    if wrong:
        what = ", ".join(sorted(wrong))
        raise NotCarriedError(f"A chat completion takes no {what} from the role '{role}'.", f"{place}.content")


def _add_call(turns: _Turns, item: dict[str, Raw], place: str) -> None:
    if item.get("namespace", NULL) != NULL:
        raise NotCarriedError("Tools of a namespace have no counterpart in a chat completion.", f"{place}.namespace")
    for name in ("call_id", "name"):
        _check_text(item, name, place)
    arguments = item.get("arguments", NULL)
    empty = len(arguments) == 2 or arguments == NULL
    turns.call(item["call_id"], {"name": item["name"], "arguments": _NO_ARGUMENTS if empty else arguments})


def _check_text(item: dict[str, Raw], name: str, place: str) -> None:
    if not is_text(item.get(name, NULL)):
        raise NotCarriedError(f"'{place}.{name}' must be a string.", f"{place}.{name}")


def _add_answer(turns: _Turns, item: dict[str, Raw], place: str) -> None:
    call = item.get("call_id", NULL)
    if not is_text(call):
        raise NotCarriedError(f"'{place}.call_id' must be a string.", f"{place}.call_id")
    parts = parts_of(item.get("output", NULL), f"{place}.output")
    _check_kinds({part["type"] for part in parts} & {"refusal"}, "tool", place)
    texts = [part for part in parts if part["type"] == "text"]
    shown = [part for part in parts if part["type"] != "text"]
    turns.answer(call, _SHOWN if shown and not texts else content_of(texts), shown)


def _add_reasoning(turns: _Turns, item: dict[str, Raw], place: str) -> None:
    """The thoughts themselves, or their summary. Those that are only there in secret cannot be told to another."""
    turn = turns.assistant()
    for name in ("content", "summary"):
        texts = [part["text"] for part in parts_of(item.get(name, NULL), f"{place}.{name}") if part["type"] == "text"]
        if texts:
            turn.thoughts.append(joined(texts, _PARAGRAPH))
            return
