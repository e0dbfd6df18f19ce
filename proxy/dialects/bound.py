"""Parts of a conversation that not everybody takes, and that may go without changing what was said.

Some are bound to the account that made them: signatures of thoughts, encrypted reasoning. Others are members of
messages that OpenAI does not know, such as the thoughts themselves and marks for a cache. All pass through as they
came, since those that know them need them; where one refuses them, it is asked once more without.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy.core.wire import Wire, own_form_of
from proxy.dialects.chat_events import to_json
from proxy.dialects.error_text import ErrorText

BOUND: Final = "provider_bound"
"""Under this name it is told that a part is another account's, as if it were a field of the request."""
EXTENSIONS: Final = "message_extensions"
"""Under this name it is told that messages have members which are not known there. That holds for every request."""

IN_MESSAGES: Final = own_form_of(Wire.MESSAGES)
"""Under this name it is told that Messages are no language for a conversation: a chat completion may be."""

_CODES: Final = frozenset({"invalid_encrypted_content", "thinking_signature_invalid"})
_WORDINGS: Final = tuple(
    re.compile(wording, re.IGNORECASE)
    for wording in (
        r"\binvalid [`'\"]?signature[`'\"]? in [`'\"]?thinking",  # Anthropic, Bedrock
        r"\bthinking[`'\"]? .{0,40}\bblocks?\b.{0,60}\bcannot be modified",  # Anthropic
        r"\bthought[ _]signature\b.{0,40}\b(?:invalid|not valid|corrupted)",  # Gemini
        r"\bencrypted content\b.{0,60}\b(?:could not|cannot|can't) be (?:verified|decrypted)",  # OpenAI
        r"^item with id [`'\"]?[\w-]+[`'\"]? not found",  # OpenAI, of what another account keeps, or nobody
        r"^item [`'\"]?[\w-]+[`'\"]? of type .{1,40} was provided without its required\b",  # OpenAI
    )
)
_MISSES_THOUGHTS: Final = re.compile(
    r"the [`'\"]?content\S{1,12} in the thinking mode must be passed back\b",
    re.IGNORECASE,
)
_OF_MESSAGES: Final = ("thinking_blocks", "reasoning_details", "extra_content")
_UNKNOWN_MEMBERS: Final = (*_OF_MESSAGES, "reasoning_content", "reasoning", "cache_control", "annotations")
_NAMES_ONE: Final = re.compile(rf"\b(?:{'|'.join(_UNKNOWN_MEMBERS)})\b")
_UNKNOWN: Final = re.compile(
    r"\b(?:unknown|unrecognized|unexpected|unsupported|extra inputs?|additional propert(?:y|ies)|"
    r"not (?:permitted|allowed))\b",
    re.IGNORECASE,
)
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
_WHOLE_ITEMS: Final = frozenset(
    {None, "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
"""Types of items on the responses wire that hold all there is, so that their ids refer to nothing that is needed."""

_decode = msgspec.json.Decoder(list[Any]).decode


def refuses_bound(error: ErrorText) -> bool:
    """Whether an error says that something in the conversation is bound to another account."""
    if error.names & _CODES:
        return True
    return any(wording.search(error.message[:400]) for wording in _WORDINGS)


def misses_thoughts(error: ErrorText) -> bool:
    """Whether DeepSeek says, in Messages, that thoughts are missing which others have not shown.

    Only in a chat completion is there something that stands for them: see `openai/history.py`.
    """
    return _MISSES_THOUGHTS.match(error.message) is not None


def refuses_extensions(error: ErrorText) -> bool:
    """Whether an error says that members of messages, or marks on tools, are not known."""
    told = f"{error.param or ''} {error.message[:400]}"
    where = "messages" in told or ("tools" in told and "cache_control" in told)
    return where and bool(_NAMES_ONE.search(told)) and bool(_UNKNOWN.search(told))


def without_extensions(fields: Mapping[str, Raw]) -> Mapping[str, Raw]:
    """A chat request whose messages and tools have none of them; the same object where none has. What cannot be read
    stays as it is."""
    plain = {}
    for name in ("messages", "tools"):
        try:
            items = _decode(fields[name])
            if (cleaned := [_plain(item) for item in items]) != items:
                plain[name] = Raw(to_json(cleaned))
        except (KeyError, ValueError, RecursionError):
            continue
    return {**fields, **plain} if plain else fields


def _plain(value: Any) -> Any:
    """A message, its parts and its calls without the members that OpenAI does not know."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _plain(each) if name in {"content", "tool_calls"} else each
        for name, each in value.items()
        if name not in _UNKNOWN_MEMBERS
    }


def without_bound(fields: Mapping[str, Raw], wire: Wire) -> Mapping[str, Raw]:
    """A request without whatever is bound to an account; the same object where nothing is, or it cannot be read."""
    name = "input" if wire is Wire.RESPONSES else "messages"
    try:
        items = _decode(fields[name])
        kept = [cleaned for item in items for cleaned in _cleaned(item, wire)]
        return fields if kept == items else {**fields, name: Raw(to_json(kept))}
    except (KeyError, ValueError, RecursionError):
        return fields


def _cleaned(item: Any, wire: Wire) -> list[Any]:
    """What is left of one message or item: itself, or nothing."""
    if not isinstance(item, dict):
        return [item]
    if wire is Wire.RESPONSES:
        if item.get("type") == "reasoning":
            return []
        # An id is looked up, together with the thoughts that it was given with.
        kind = item.get("type")
        whole = _is_one_of(kind, _WHOLE_ITEMS) and (kind is not None or "role" in item)
        return [{name: value for name, value in item.items() if name != "id"} if whole else item]
    item = {name: value for name, value in item.items() if name not in _OF_MESSAGES}
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        item["tool_calls"] = [
            {name: value for name, value in call.items() if name != "extra_content"} if isinstance(call, dict) else call
            for call in calls
        ]
    content = item.get("content")
    if wire is Wire.MESSAGES and isinstance(content, list):
        said = [part for part in content if not (isinstance(part, dict) and _is_one_of(part.get("type"), _THOUGHTS))]
        if not said:
            return []
        item["content"] = said
    return [item]


def _is_one_of(kind: object, kinds: Collection[str | None]) -> bool:
    """Whether the type of an item, which may be anything, is one of these."""
    return (kind is None or isinstance(kind, str)) and kind in kinds
