"""The conversation of a Messages request as the messages of a chat request.

What Anthropic puts into one turn of the user stands in several chat messages: first the results of tools, which have to
follow the calls at once, then what the user says. Chat's results are texts, so what they show goes to the user's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy.core.errors import bad_request
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.messages.names import call_id, function_name
from proxy.dialects.messages.parts import Part, content_of, parts_of, text_part
from proxy.dialects.messages.shapes import Block, Message, blocks_of, decoded, given, quoted, text_of, without_nulls
from proxy.dialects.raw_json import NULL, is_text, joined

_EMPTY: Final = Raw(b'""')
_ERROR: Final = Raw(b'"Error: "')
_SHOWN: Final = Raw(b'"Shown in the next message."')
"""Stands for a result without any text."""
_DONE_ELSEWHERE: Final = frozenset({"server_tool_use", "mcp_tool_use", "mcp_tool_result", "fallback"})
"""Blocks of earlier turns in which Anthropic's servers tell what they did: nobody else can read them, and the texts
behind them say what came of it. Results of tools of theirs end in `_tool_result`."""


def chat_messages(fields: Mapping[str, Raw], *, extensions: bool) -> list[dict[str, Any]]:
    """The messages, the system prompt first. Raises NotCarriedError, and ClientError (400) that names the place.

    `extensions` writes what OpenAI's own wire does not have: `cache_control` in parts, and in assistants' messages
    `reasoning_content` and the signed `thinking_blocks` that it came in.
    """
    conversation = _Conversation(extensions=extensions)
    system = given(fields, "system")
    if system is not None:
        conversation.system(system, "system")
    for index, message in enumerate(decoded(fields["messages"], list[Message], "messages")):
        conversation.add(message, f"messages.{index}")
    conversation.end_turn()
    return conversation.messages


class _Conversation:
    """Gathers the messages, turn by turn."""

    def __init__(self, *, extensions: bool) -> None:
        self.messages: list[dict[str, Any]] = []
        self._extensions = extensions
        self._turn: list[Block] = []
        """What the assistant says: Anthropic takes messages in a row for one, and chat wants their calls together."""
        self._answered: set[str] = set()
        """Ids of calls that have their result: a second one is refused by some providers (picoclaw#1793)."""

    def add(self, message: Message, place: str) -> None:
        """The next message."""
        content = f"{place}.content"
        if message.role == "assistant":
            blocks = blocks_of(message.content, content)
            _check(blocks, content)
            self._turn += blocks
            return
        self.end_turn()
        if message.role == "user":
            self._user(message.content, content)
        elif message.role == "system":
            self.system(message.content, content)
        else:
            raise bad_request(f"{place}.role: Input should be 'user', 'assistant' or 'system'", param="messages")

    def system(self, content: Raw, place: str) -> None:
        """A system prompt, here."""
        parts = [part for block in blocks_of(content, place) for part in parts_of(block, place)]
        if parts:
            self._say("system", parts)

    def _user(self, content: Raw, place: str) -> None:
        blocks = blocks_of(content, place)
        shown: list[Part] = []
        said: list[Part] = []
        for block in blocks:
            if block.type == "tool_result":
                shown += self._result(block, place)
            else:
                said += parts_of(block, place)
        if shown or said or not any(block.type == "tool_result" for block in blocks):
            self._say("user", [*shown, *said])

    def end_turn(self) -> None:
        """The assistant has said all that it says for now."""
        blocks, self._turn = self._turn, []
        texts = [block.text for block in blocks if block.type == "text"]
        calls = [self._call(block) for block in blocks if block.type == "tool_use"]
        thoughts = [_thought(block) for block in blocks if block.type in _THOUGHTS]
        if not (texts or calls or thoughts):
            return
        message: dict[str, Any] = {"role": "assistant", "content": joined(texts) if texts or not calls else None}
        if thoughts and self._extensions:
            told = [block.thinking for block in blocks if block.type == "thinking" and is_text(block.thinking)]
            if told:
                message["reasoning_content"] = joined(told)
            message["thinking_blocks"] = thoughts
        if calls:
            message["tool_calls"] = calls
        self.messages.append(message)

    def _say(self, role: str, parts: list[Part]) -> None:
        self.messages.append({"role": role, "content": content_of(parts, extensions=self._extensions)})

    def _call(self, block: Block) -> dict[str, Any]:
        id_, name = block.id or "", block.name or ""
        self._answered.discard(id_)
        function = {"name": function_name(name), "arguments": quoted(bytes(block.input))}
        return {"id": call_id(id_), "type": "function", "function": function}

    def _result(self, block: Block, place: str) -> list[Part]:
        """Adds the message of a result; returns what it shows besides its text."""
        place = f"{place}.tool_result"
        if not block.tool_use_id:
            raise bad_request(f"{place}.tool_use_id: Field required", param="messages")
        if block.tool_use_id in self._answered:
            return []
        self._answered.add(block.tool_use_id)
        blocks = blocks_of(block.content, f"{place}.content") if block.content != NULL else []
        parts = [part for each in blocks for part in parts_of(each, f"{place}.content")]
        texts = [part for part in parts if part["type"] == "text"]
        shown = [part for part in parts if part["type"] != "text"]
        if shown and not texts:
            texts = [text_part(_SHOWN)]
        if block.is_error:
            first = texts[0] if texts else text_part(_EMPTY)
            texts[:1] = [{**first, "text": joined((_ERROR, first["text"]))}]
        if texts and block.cache_control != NULL:
            texts[-1] = {**texts[-1], "cache_control": block.cache_control}
        content = content_of(texts, extensions=self._extensions)
        self.messages.append({"role": "tool", "tool_call_id": call_id(block.tool_use_id), "content": content})
        return shown


_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def _check(blocks: list[Block], place: str) -> None:
    """Raises NotCarriedError, or ClientError (400), for what an assistant cannot have said."""
    for block in blocks:
        if block.type == "text":
            text_of(block.text, f"{place}.text")
        elif block.type == "tool_use":
            if not block.id or not block.name:
                raise bad_request(f"{place}: a tool_use needs an id and a name", param="messages")
            if memoryview(block.input)[0] != ord("{"):
                raise bad_request(f"{place}.tool_use.input: Input should be a valid dictionary", param="messages")
            block.input = _compact(block.input, place)
        elif block.type not in _THOUGHTS and not _is_done_elsewhere(block.type):
            kind = repr(block.type[:60])
            raise NotCarriedError(f"an assistant's block of type {kind} cannot be carried to this model", "messages")


def _is_done_elsewhere(type_: str) -> bool:
    return type_ in _DONE_ELSEWHERE or type_.endswith("_tool_result")


def _thought(block: Block) -> dict[str, Any]:
    """A block of thoughts as it was signed."""
    members = {"type": block.type, "thinking": block.thinking, "signature": block.signature, "data": block.data}
    return without_nulls(members)


def _compact(value: Raw, place: str) -> Raw:
    """JSON without the spaces between its tokens; numbers keep their digits."""
    try:
        return Raw(msgspec.json.format(bytes(value), indent=-1))
    except (ValueError, RecursionError):
        raise bad_request(f"{place}.tool_use.input: nested too deeply", param="messages") from None
