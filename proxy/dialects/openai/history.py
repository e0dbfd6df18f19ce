"""Edits that a provider's quirks demand of the conversation in a request.

Only the members on the way to an edit are decoded; all other values stay the bytes that the client sent, and so does
all of a conversation that needs no edit, or cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Raw

from proxy.core.mentions import mentions
from proxy.dialects.raw_json import NULL
from proxy.dialects.registry import Quirks

_Object = dict[str, Raw]

_DEVELOPER: Final = Raw(b'"developer"')
_SYSTEM: Final = Raw(b'"system"')
_ASSISTANT: Final = Raw(b'"assistant"')
_NO_CALLS: Final = (NULL, Raw(b"[]"))
_NO_THOUGHTS: Final = (NULL, Raw(b'""'))
_NO_CONTENT: Final = (NULL, Raw(b'""'), Raw(b"[]"))
_A_BLANK: Final = Raw(b'" "')
"""What DeepSeek takes in place of thoughts that nobody has (litellm#28045)."""

_OLD_MEMBERS: Final[Mapping[bytes, frozenset[str]]] = MappingProxyType(
    {
        b'"assistant"': frozenset({"role", "content", "tool_calls", "prefix"}),
        b'"tool"': frozenset({"role", "content", "tool_call_id", "name"}),
    }
)
_OLD_MEMBERS_OF_OTHERS: Final = frozenset({"role", "content"})
_OF_CALLS: Final = frozenset({"id", "type", "function", "index"})
_OF_TOOLS: Final = frozenset({"type", "function"})
_QUOTE, _BRACKET = ord('"'), ord("[")

_GOOD_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_encode = msgspec.json.Encoder().encode
_decode_text = msgspec.json.Decoder(str).decode
_decode_objects = msgspec.json.Decoder(list[_Object]).decode


def edited_messages(messages: Raw, quirks: Quirks, *, thinks: bool) -> Raw:
    """The messages as the provider takes them. `thinks` says that the model is not told not to think."""
    developer = not quirks.developer_role and mentions(messages, b'"developer"')
    thoughts = quirks.thoughts_with_calls and thinks and mentions(messages, b'"tool_calls"')
    if not (developer or thoughts or quirks.plain_messages):
        return messages
    try:
        decoded = _decode_objects(messages)
        edited = _without_developer(decoded) if developer else decoded
        edited = _with_thoughts(edited) if thoughts else edited
        edited = [_plain(message) for message in edited if not _is_empty(message)] if quirks.plain_messages else edited
    except (ValueError, RecursionError):
        return messages
    return messages if edited == decoded else Raw(_encode(edited))


def plain_tools(tools: Raw) -> Raw:
    """The tools without members that OpenAI does not know."""
    try:
        return _only(tools, _OF_TOOLS)
    except (ValueError, RecursionError):
        return tools


def short_id(id_: str) -> str:
    """The id of a call in nine letters and digits: itself if it is so already, else one that is always the same."""
    if _GOOD_ID.fullmatch(id_):
        return id_
    number = int.from_bytes(blake2b(id_.encode("utf-8", "replace"), digest_size=8).digest())
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(9))


def _without_developer(messages: list[_Object]) -> list[_Object]:
    """The role `developer` turned into `system`, which means the same to every provider but OpenAI."""
    return [{**each, "role": _SYSTEM} if each.get("role") == _DEVELOPER else each for each in messages]


def _with_thoughts(messages: list[_Object]) -> list[_Object]:
    """Thoughts in all that the assistant said, if it has called tools at all."""
    if all(message.get("tool_calls", NULL) in _NO_CALLS for message in messages):
        return messages
    return [_with_thought(each) if each.get("role") == _ASSISTANT else each for each in messages]


def _with_thought(message: _Object) -> _Object:
    if message.get("reasoning_content", NULL) not in _NO_THOUGHTS:
        return message
    told = message.get("reasoning", NULL)
    known = told not in _NO_THOUGHTS and memoryview(told)[0] == _QUOTE
    return {**message, "reasoning_content": told if known else _A_BLANK}


def _is_empty(message: _Object) -> bool:
    """Whether the assistant says and calls nothing: elsewhere that is taken for a turn, Mistral refuses it."""
    if message.get("role") != _ASSISTANT or message.get("tool_calls", NULL) not in _NO_CALLS:
        return False
    return message.get("content", NULL) in _NO_CONTENT


def _plain(message: _Object) -> _Object:
    known = _OLD_MEMBERS.get(bytes(message.get("role", NULL)), _OLD_MEMBERS_OF_OTHERS)
    plain = {name: value for name, value in message.items() if name in known}
    if (content := plain.get("content")) is not None and mentions(content, b'"cache_control"'):
        plain["content"] = _without_marks(content)
    if plain.get("tool_calls", NULL) in _NO_CALLS:
        plain.pop("tool_calls", None)
    else:
        calls = _decode_objects(_only(plain["tool_calls"], _OF_CALLS))
        plain["tool_calls"] = Raw(
            _encode([{**call, "id": _short(call["id"])} if "id" in call else call for call in calls])
        )
    if "tool_call_id" in plain:
        plain["tool_call_id"] = _short(plain["tool_call_id"])
    return plain


def _without_marks(content: Raw) -> Raw:
    if memoryview(content)[0] != _BRACKET:
        return content
    parts = _decode_objects(content)
    return Raw(_encode([{name: value for name, value in part.items() if name != "cache_control"} for part in parts]))


def _only(objects: Raw, names: frozenset[str]) -> Raw:
    decoded = _decode_objects(objects)
    kept = [{name: value for name, value in each.items() if name in names} for each in decoded]
    return objects if kept == decoded else Raw(_encode(kept))


def _short(id_: Raw) -> Raw:
    return Raw(_encode(short_id(_decode_text(id_))))
