"""Edits that a provider's quirks demand of its answers and events, so that clients of OpenAI read them rightly.

Only the members on the way to an edit are decoded; all other values stay the bytes that were received.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.openai.shapes import Choice, Document, calls_something, is_filled
from proxy.dialects.raw_json import NULL
from proxy.dialects.registry import Quirks

_Member = Literal["delta", "message"]

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class _Details(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    completion_tokens_details: _Details | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode


def finish_reason(choice: Choice, quirks: Quirks, *, called: bool) -> str | None:
    """The finish reason of a choice; None while it goes on.

    Some providers send "" in every event, xAI where it means that tools were called: `called` says whether they were,
    and text in the same event that the choice goes on.
    """
    reason = choice.finish_reason
    if reason == "":
        said = choice.delta is not None and choice.delta.content
        return quirks.empty_finish_reason if called and not said else None
    return reason


def edited(data: bytes, document: Document, member: _Member, quirks: Quirks, *, called: bool) -> bytes | None:
    """The bytes with the edits that the quirks demand; None if they demand none, or cannot be made.

    `document` is what was decoded of `data`; `member` is where its choices hold their message.
    """
    choices = document.choices or []
    usage = _whole_usage(document.usage) if quirks.usage_lacks_reasoning and document.usage is not NULL else None
    for choice in choices:
        if choice.finish_reason == "" or _needs_alias(choice, member, quirks):
            break
    else:
        if usage is None:
            return None
    try:
        members = _decode_object(data)
        if choices:
            items = _decode_objects(members["choices"])
            for choice, item in zip(choices, items, strict=True):
                _edit_choice(choice, item, member, quirks, called=called)
            members["choices"] = Raw(_encode(items))
        if usage is not None:
            members["usage"] = usage
        return _encode(members)
    except (ValueError, RecursionError):
        return None  # a text that strict decoders refuse; better unedited than not at all


def _edit_choice(choice: Choice, item: dict[str, Raw], member: _Member, quirks: Quirks, *, called: bool) -> None:
    if choice.finish_reason == "":
        item["finish_reason"] = Raw(_encode(finish_reason(choice, quirks, called=called)))
    if _needs_alias(choice, member, quirks):
        message = _decode_object(item[member])
        item[member] = Raw(_encode({**message, "reasoning_content": message[quirks.reasoning_field]}))


def _needs_alias(choice: Choice, member: _Member, quirks: Quirks) -> bool:
    message = choice.delta if member == "delta" else choice.message
    if message is None or quirks.reasoning_field == "reasoning_content":
        return False
    return is_filled(message.reasoning) and not is_filled(message.reasoning_content)


def _whole_usage(usage: Raw) -> Raw | None:
    """The usage with the reasoning tokens among the completion tokens, where the total says that they are missing."""
    if usage == NULL:
        return None
    try:
        told = _decode_usage(usage)
        members = _decode_object(usage)
    except (ValueError, RecursionError):
        return None
    reasoning = told.completion_tokens_details and told.completion_tokens_details.reasoning_tokens
    completion = told.completion_tokens + (reasoning or 0)
    if not reasoning or told.prompt_tokens + completion != told.total_tokens:
        return None
    return Raw(_encode({**members, "completion_tokens": completion}))


def calls_tools(document: Document) -> bool:
    """Whether any choice of an event or answer carries a tool call, or a piece of one."""
    messages = (choice.delta or choice.message for choice in document.choices or [])
    return any(message is not None and calls_something(message) for message in messages)
