"""What is decoded of OpenAI's chat answers and events: the few members that tell whether they are any.

Leaves whose type varies stay raw, and unknown members are skipped, so that one decode costs well under a microsecond
and nothing that a provider adds can break it.
"""

from __future__ import annotations

from functools import partial

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.lenient_json import peek
from proxy.dialects.raw_json import NULL


class Call(Struct, gc=False):
    """A tool call, whole or a piece of one, or the function in it."""

    index: int | None = None
    id: Raw = NULL
    name: Raw = NULL
    arguments: Raw = NULL
    function: Call | None = None


class Message(Struct, gc=False):
    """A message, or the delta of one."""

    content: str | list[Raw] | None = None
    tool_calls: list[Call] | None = None
    function_call: Call | None = None
    refusal: Raw = NULL
    reasoning_content: Raw = NULL
    reasoning: Raw = NULL
    reasoning_details: Raw = NULL
    audio: Raw = NULL


class Choice(Struct, gc=False):
    """A choice: of an event with its `delta`, of an answer with its `message`."""

    index: int | None = None
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | None = None


class Document(Struct, gc=False):
    """An answer or an event."""

    choices: list[Choice] | None = None
    error: Raw = NULL
    usage: Raw = NULL


read_document = partial(peek, msgspec.json.Decoder(Document).decode)
"""The document; None if the bytes are no valid JSON, or if what is looked at has types that the wire rules out."""
_decode_part = msgspec.json.Decoder(dict[str, Raw]).decode


def says_something(message: Message) -> bool:
    """Whether a message or delta carries anything of an answer. A role, or an announced but empty call, does not."""
    content = message.content
    if content:
        return isinstance(content, str) or any(_is_filled_part(part) for part in content)
    return (
        calls_something(message)
        or is_filled(message.reasoning_content)
        or is_filled(message.reasoning)
        or is_filled(message.refusal)
        or is_filled(message.reasoning_details)
        or is_filled(message.audio)
    )


def calls_something(message: Message) -> bool:
    """Whether a message or delta carries a tool call, or a piece of one."""
    if message.tool_calls:
        return any(_is_called(call) for call in message.tool_calls)
    return message.function_call is not None and _is_called(message.function_call)


def call_indexes(message: Message) -> tuple[int, ...]:
    """The indexes of the calls of which a delta carries a piece; a function call of old is the only one."""
    return tuple(call.index or 0 for call in message.tool_calls or ()) or (0,)


def is_filled(leaf: Raw) -> bool:
    """Whether a raw leaf is neither null nor empty."""
    # Every empty value ("", [], {}) is two bytes; the shortest string with a character in it is three.
    return leaf is not NULL and len(leaf) > 2 and leaf != NULL


def _is_called(call: Call) -> bool:
    named = is_filled(call.id) or is_filled(call.name) or is_filled(call.arguments)
    return named or (call.function is not None and _is_called(call.function))


def _is_filled_part(part: Raw) -> bool:
    """Whether a part of a content list says something: any member but its type does, unless it is empty."""
    try:
        members = _decode_part(part)
    except (ValueError, RecursionError):
        return False
    return any(is_filled(value) for name, value in members.items() if name != "type")
