"""A whole chat completion as a response."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.dialects.chat_content import text_of, thoughts_in
from proxy.dialects.chat_events import to_json
from proxy.dialects.client_wire import Speaking
from proxy.dialects.lenient_json import read_json, text_at
from proxy.dialects.openai.said import REASONING
from proxy.dialects.raw_json import NULL
from proxy.dialects.responses.document import (
    REASONS,
    ResponseDocument,
    call_item,
    item_id,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)
from proxy.dialects.responses.freeform import freeform_item, input_of, names_in
from proxy.dialects.responses.usage import usage_of_chat

_decode = msgspec.json.Decoder().decode


def from_chat(answer: bytes, speaking: Speaking) -> bytes:
    """The response that a chat completion, found good, is."""
    completion = _object(_read(answer))
    choice = _object(next(iter(_list(completion.get("choices"))), None))
    incomplete = REASONS.get(text_at(choice, "finish_reason"))
    items = _items(_object(choice.get("message")), speaking.id, names_in(speaking.request.fields.get("tools", NULL)))
    status = "incomplete" if incomplete else "completed"
    if items:
        # Only what was said last can have been cut.
        items[-1]["status"] = status
    document = ResponseDocument(speaking, text_at(completion, "model"))
    usage = usage_of_chat(completion.get("usage"))
    return document.write(status, [to_json(item) for item in items], incomplete=incomplete, usage=usage)


def _read(answer: bytes) -> object:
    try:
        return read_json(answer)
    except (ValueError, RecursionError):
        return None


def _items(message: dict[str, Any], id_: str, freeform: frozenset[str]) -> list[dict[str, Any]]:
    text = text_of(message.get("content"))
    told = (text_at(message, name) for name in REASONING)
    thoughts = next(filter(None, told), "") or thoughts_in(message.get("content"))
    refusal = text_at(message, "refusal")
    items: list[dict[str, Any]] = []
    if thoughts:
        items.append(reasoning_item(item_id("rs", id_, 0), [thoughts], "completed"))
    content = [text_part(text)] if text else []
    if refusal:
        content.append(refusal_part(refusal))
    if content:
        items.append(message_item(item_id("msg", id_, len(items)), content, "completed"))
    for call in _calls(message):
        function = _object(call.get("function"))
        place = len(items)
        arguments = text_at(function, "arguments") or "{}"
        call_id = text_at(call, "id") or f"call_{id_}{place}"
        name = text_at(function, "name")
        if name in freeform:
            items.append(freeform_item(item_id("ctc", id_, place), call_id, name, input_of(arguments), "completed"))
        else:
            items.append(call_item(item_id("fc", id_, place), call_id, name, arguments, "completed"))
    return items


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = [call for call in _list(message.get("tool_calls")) if isinstance(call, dict) and call.get("function")]
    if not calls and isinstance(message.get("function_call"), dict):
        return [{"function": message["function_call"]}]  # of old
    return calls


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
