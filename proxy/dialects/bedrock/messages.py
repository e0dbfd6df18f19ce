"""A conversation as Bedrock wants it: user and assistant in turn, the user first, the system apart.

All results of one turn's calls stand in one message, before whatever the user says next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from proxy.dialects.bedrock.content import Blocks
from proxy.dialects.conversation import CalledFunction, Message, Part, ThoughtBlock, read_arguments, thought_blocks
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.spelling import CallIds, Spelling

LONGEST_NAME: Final = 64
"""Characters of the name of a tool, and of the id of a call."""
_SYSTEM: Final = frozenset({"system", "developer"})
_FILLER: Final = {"text": "Continue."}
"""Said in the user's name where the wire wants something of the user's, and there is nothing."""
_NO_RESULT: Final = {"text": "(no content)"}
_BY_USER: Final = frozenset({"image", "document", "audio"})


class Turns:
    """Writes one conversation."""

    __slots__ = ("_blocks", "_ids", "_names", "_results", "_thoughts", "called", "messages", "system")

    def __init__(self, blocks: Blocks, names: Spelling, *, thoughts: bool) -> None:
        """`thoughts` says whether signed thoughts go back to the model."""
        self._blocks = blocks
        self._thoughts = thoughts
        self._names = names
        self._ids = CallIds(LONGEST_NAME)
        self._results: dict[str, dict[str, Any]] = {}
        self.called: dict[str, None] = {}
        """The names of the tools that the history speaks of, as sent."""
        self.system: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def write(self, conversation: Sequence[Message]) -> None:
        """Add the whole conversation."""
        leading = True
        for message in conversation:
            leading = leading and message.role in _SYSTEM
            if leading:
                self.system += _only_text(self._blocks.of(message.parts), "system")
            else:
                self._message(message)
        for message_ in self.messages:
            _introduce(message_["content"])
        _trim(self.messages)
        if not self.messages or self.messages[0]["role"] != "user":
            self.messages.insert(0, {"role": "user", "content": [_FILLER]})

    def _message(self, message: Message) -> None:
        if message.role == "tool":
            self._result(message)
        elif message.role == "assistant":
            if not self.messages or self.messages[-1]["role"] != "assistant":
                self._ids.turn()
            self._say("assistant", self._answer(message))
        elif message.role == "user":
            self._say("user", self._blocks.of(message.parts) or [_FILLER])
        elif message.role in _SYSTEM:
            # Moved to the front it would change what was cached, and what it refers to.
            self._say("user", self._blocks.of([_tagged(part) for part in message.parts]))
        else:
            raise NotCarriedError(f"Messages of the role '{message.role[:40]}' cannot be translated.", "messages")

    def _say(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self._results.clear()
            self.messages.append({"role": role, "content": blocks})

    def _answer(self, message: Message) -> list[dict[str, Any]]:
        """Thoughts, text, calls: in this order, or it is refused."""
        thoughts = thought_blocks(message.thinking_blocks) if self._thoughts else ()
        blocks = [_thought(block) for block in thoughts if block.signature or block.data]
        blocks += _only_text(self._blocks.of(message.parts), "assistant")
        for call in message.tool_calls or ():
            function = call.function or CalledFunction()
            name = self._names.sent(function.name)
            self.called[name] = None
            used = {
                "toolUseId": self._ids.call(call.id or ""),
                "name": name,
                "input": read_arguments(function.arguments),
            }
            blocks.append({"toolUse": used})
        return blocks

    def _result(self, message: Message) -> None:
        id_ = self._ids.result(message.tool_call_id or "")
        blocks = self._blocks.of(message.parts)
        if any("audio" in block for block in blocks):
            raise NotCarriedError("Bedrock takes no sound as the result of a tool.", "messages")
        if id_ is None:
            # Nobody asked for it, be it that the history was cut: it is refused as a result, but may matter.
            self._say("user", [{"text": "<tool_result>"}, *blocks, {"text": "</tool_result>"}] if blocks else [])
            return
        points = [block for block in blocks if "cachePoint" in block][-1:]
        content = [block for block in blocks if "cachePoint" not in block]
        if (known := self._results.get(id_)) is not None:
            # Some clients send a result twice; a second one of the same call would be refused.
            known["content"] += [block for block in content if block not in known["content"]]
            return
        result = {"toolUseId": id_, "content": content or [_NO_RESULT]}
        self._say("user", [{"toolResult": result}, *points])
        self._results[id_] = result


def has_signed_thoughts(conversation: Sequence[Message]) -> bool:
    """Whether the calls that the last results answer, if there are any, stand with the thoughts that led to them."""
    last = next((message for message in reversed(conversation) if message.role not in {"tool", "assistant"}), None)
    for message in reversed(conversation):
        if message is last:
            return True
        if message.role == "assistant" and message.tool_calls:
            return any(block.signature or block.data for block in thought_blocks(message.thinking_blocks))
    return True


def _thought(block: ThoughtBlock) -> dict[str, Any]:
    if block.data:
        return {"reasoningContent": {"redactedContent": block.data}}
    return {"reasoningContent": {"reasoningText": {"text": block.thinking or "", "signature": block.signature}}}


def _tagged(part: Part) -> Part:
    if part.text is None:
        return part
    return Part(text=f"<system>\n{part.text}\n</system>", cache_control=part.cache_control)


def _only_text(blocks: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    if any(block.keys() & _BY_USER for block in blocks):
        raise NotCarriedError(f"Bedrock takes only text from the role '{role}'.", "messages")
    return blocks


def _introduce(blocks: list[dict[str, Any]]) -> None:
    """A document never stands without a text."""
    documents = [block["document"]["name"] for block in blocks if "document" in block]
    if documents and not any("text" in block for block in blocks):
        blocks.append({"text": "Attached: " + ", ".join(documents)})


def _trim(messages: list[dict[str, Any]]) -> None:
    """An answer that is to be continued must not end in blanks."""
    last = messages[-1]["content"][-1] if messages and messages[-1]["role"] == "assistant" else {}
    if "text" in last:
        last["text"] = last["text"].rstrip()
