"""A conversation of chat as one of Messages: turns that alternate, results of calls where they are looked for.

1. The system messages at the beginning become `system`. Later ones stay in their place, since whatever is put before a
   conversation makes its cached beginning worthless: natively where the model obeys them and the place is legal, as a
   tagged text of the user elsewhere.
2. Neighbours of one role become one turn. All results of the calls of one turn stand in the turn behind it, before
   anything else that the user says there.
3. The first turn is the user's. The last one may be the assistant's: the beginning of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, Struct

from proxy.dialects.anthropic.names import LONGEST_ID, ToolNames
from proxy.dialects.anthropic.parts import Block, blocks_of, cached, refuse, text_block, texts_of
from proxy.dialects.conversation import Called, Message, read_arguments, read_messages, thought_blocks
from proxy.dialects.spelling import CallIds

_SYSTEM: Final = ("system", "developer")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
"""Anthropic's signatures are base64; servers that only speak its language leave them empty or put a word there."""
_OPENING: Final = "."
"""What the user says where a conversation begins with the assistant: a turn must not be empty."""


class Turn(Struct, gc=False):
    """What one side says until the other one speaks."""

    role: str
    content: list[Block]


class Conversation(Struct):
    """All of a request's messages."""

    system: list[Block]
    turns: list[Turn]
    thoughtless_calls: bool = False
    """The calls whose results end it were made without thoughts, or these are lost: a model with a budget for thinking
    would miss them."""

    @property
    def ends_with_assistant(self) -> bool:
        """The answer is begun."""
        return self.turns[-1].role == "assistant"


def conversation_of(
    fields: Mapping[str, Raw], names: ToolNames, *, system_turns: bool = False, stub_results: bool = False
) -> Conversation:
    """The conversation that a chat request's messages are. Raises NotCarriedError.

    `system_turns` says that the model obeys system messages anywhere. With `stub_results` calls that nobody answered
    are given an empty result, without which Messages refuses the request.
    """
    messages = read_messages(fields)
    if not messages:
        refuse("no messages at all")
    system: list[Block] = []
    begin = 0
    for message in messages:
        if message.role not in _SYSTEM:
            break
        system += _marked(texts_of(message.content), message)
        begin += 1
    reader = _Reader(names, stub_results=stub_results)
    for message in messages[begin:]:
        reader.read(message)
    turns = _alternating(_placed(reader.finished(), natively=system_turns))
    return Conversation(system, turns, _lacks_thoughts(turns))


class _Reader:
    """Takes one message after the other."""

    def __init__(self, names: ToolNames, *, stub_results: bool) -> None:
        self._names = names
        self._ids = CallIds(LONGEST_ID)
        self._turns: list[Turn] = []
        self._results: dict[str, Block] = {}
        """Of the calls of the assistant's last turn, by the ids of these."""
        self._stub_results = stub_results

    def read(self, message: Message) -> None:
        role = message.role
        if role == "assistant":
            self._assistant(message)
        elif role == "tool":
            self._result(message)
        elif role == "user":
            self._say("user", _marked(blocks_of(message.content), message))
        elif role in _SYSTEM:
            self._say("system", _marked(texts_of(message.content), message))
        else:
            refuse(f"a message of role '{role[:40]}'" if role.isprintable() else "a nameless role")

    def finished(self) -> list[Turn]:
        """All turns; their neighbours may still be of one role."""
        self._close_calls()
        return self._turns

    def _say(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1].role == role:
            self._turns[-1].content += blocks
        else:
            self._turns.append(Turn(role, blocks))

    def _assistant(self, message: Message) -> None:
        if not self._turns or self._turns[-1].role != "assistant":
            self._close_calls()
        if message.audio is not None:
            refuse("an earlier answer in sound")
        blocks = texts_of(message.content) or texts_of(message.refusal)
        if message.thinking_blocks is not None:
            blocks = [*_thoughts(message.thinking_blocks), *blocks]
        if message.tool_calls:
            blocks += [self._call(call) for call in message.tool_calls]
        self._say("assistant", _marked(blocks, message))

    def _call(self, call: Called) -> Block:
        function = call.function
        if call.id is None or function is None or not function.name:
            refuse("a tool call without an id or a name")
        return {
            "type": "tool_use",
            "id": self._ids.call(call.id),
            "name": self._names.sent(function.name),
            "input": read_arguments(function.arguments),
        }

    def _result(self, message: Message) -> None:
        content = message.content
        blocks = blocks_of(content)
        sent = None if message.tool_call_id is None else self._ids.result(message.tool_call_id)
        if sent is None:
            # Nobody asked for it, be it that the history was cut: it is refused as a result, but may matter.
            self._say("user", [text_block("<tool_result>"), *blocks, text_block("</tool_result>")] if blocks else [])
            return
        told: Any = content if isinstance(content, str) else blocks
        result = {"type": "tool_result", "tool_use_id": sent}
        if blocks:
            result["content"] = told
        cached(result, message.cache_control)
        _lift_mark(blocks, result)
        if sent in self._results:
            # The later one counts: the earlier may have stood in for it.
            self._results[sent].clear()
            self._results[sent].update(result)
        else:
            self._results[sent] = result
            self._say("user", [result])

    def _close_calls(self) -> None:
        """The assistant is about to speak, or nobody is: what it called before can be answered no more."""
        if self._stub_results and self._turns and self._turns[-1].role != "assistant":
            missing = [sent for sent in self._ids.asked if sent not in self._results]
            self._say("user", [{"type": "tool_result", "tool_use_id": sent, "is_error": True} for sent in missing])
        self._ids.turn()
        self._results = {}


def _lift_mark(blocks: list[Block], result: Block) -> None:
    """A mark for the cache within a result is one on the result: what is within cannot end a prefix."""
    marks = [mark for block in blocks if (mark := block.pop("cache_control", None)) is not None]
    if marks:
        result.setdefault("cache_control", marks[-1])


def _marked(blocks: list[Block], message: Message) -> list[Block]:
    """The blocks; a mark for the cache on the message is one on its last block."""
    if message.cache_control is not None and blocks and "thinking" not in blocks[-1]["type"]:
        cached(blocks[-1], message.cache_control)
    return blocks


def _thoughts(blocks: object) -> list[Block]:
    """The thoughts that the client sends back, if they are Anthropic's own: it refuses all others."""
    found: list[Block] = []
    for thinking, signature, data in thought_blocks(blocks):
        if data:
            found.append({"type": "redacted_thinking", "data": data})
        elif thinking is not None and signature is not None and _SIGNATURE.fullmatch(signature):
            found.append({"type": "thinking", "thinking": thinking, "signature": signature})
    return found


def _placed(turns: Sequence[Turn], *, natively: bool) -> list[Turn]:
    """The turns, with those of the system either legal or the user's."""
    placed = []
    for place, turn in enumerate(turns):
        behind_user = place > 0 and turns[place - 1].role == "user"
        before_assistant = place + 1 == len(turns) or turns[place + 1].role == "assistant"
        if turn.role != "system" or (natively and behind_user and before_assistant):
            placed.append(turn)
        else:
            placed.append(Turn("user", [text_block("<system>"), *turn.content, text_block("</system>")]))
    return placed


def _alternating(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with neighbours of one role made one, beginning with the user's."""
    merged: list[Turn] = []
    if not turns or turns[0].role != "user":
        merged.append(Turn("user", [text_block(_OPENING)]))
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1].content += turn.content
        else:
            merged.append(turn)
    for turn in merged:
        if turn.role == "user" and len(turn.content) > 1:
            turn.content.sort(key=_is_no_result)
    _trim_beginning(merged)
    return merged


def _trim_beginning(turns: list[Turn]) -> None:
    """The beginning of an answer must not end in white space."""
    last = turns[-1].content[-1]
    if turns[-1].role == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _is_no_result(block: Block) -> bool:
    return bool(block["type"] != "tool_result")


def _lacks_thoughts(turns: Sequence[Turn]) -> bool:
    if turns[-1].role != "user" or all(map(_is_no_result, turns[-1].content)) or len(turns) < 2:
        return False
    called = turns[-2].content
    return bool(called) and "thinking" not in called[0]["type"]
