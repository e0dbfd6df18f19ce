"""A client's request on OpenAI's responses wire, as far as routing needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import bad_request
from proxy.core.mentions import mentions
from proxy.core.request import Body, ModelRequest, is_streamed, model_of, top_level
from proxy.core.wire import Wire
from proxy.dialects.raw_json import NULL

_TRUE = Raw(b"true")
_IN_PLACE = ("previous_response_id", "conversation", "prompt")
"""What may stand in place of the input."""

_decode_items = msgspec.json.Decoder(list[Raw]).decode


class Tie(NamedTuple):
    """What ties a request to the account that knows of it."""

    param: str
    """The field that says so."""
    id: str
    """What is referred to; for a field that refers to nothing, its name."""


class _Referring(Struct):
    id: str | None = None


class _Part(Struct):
    file_id: str | None = None


class _Item(Struct):
    type: str | None = None
    role: Raw = NULL
    id: str | None = None
    content: Raw = NULL
    output: Raw = NULL


_decode_referring = msgspec.json.Decoder(_Referring | str).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_part = msgspec.json.Decoder(_Part).decode


def parse_responses(body: Body) -> ModelRequest:
    """Understand a request body. Raises ClientError (400) that names the field and the cure."""
    fields = top_level(body)
    model = model_of(fields)
    given = fields.get("input", NULL)
    if given == NULL:
        if all(fields.get(name, NULL) == NULL for name in _IN_PLACE):
            names = "', '".join(_IN_PLACE)
            raise bad_request(f"Missing required field: 'input' (or one of '{names}').", param="input")
    elif memoryview(given)[0] not in b'"[':
        raise bad_request("'input' must be a string or an array.", param="input")
    # The usage is a part of the last event of every stream.
    return ModelRequest(fields, model, is_streamed(fields), include_usage=True, wire=Wire.RESPONSES)


def tie_of(fields: Mapping[str, Raw]) -> Tie | None:
    """What ties a request to the account that knows of it; None if any account can answer. Never raises."""
    for name in ("previous_response_id", "conversation", "prompt"):
        if (value := fields.get(name, NULL)) != NULL:
            return Tie(name, _id_of(value) or name)
    if fields.get("background") == _TRUE:
        return Tie("background", "background")
    given = fields.get("input", NULL)
    if memoryview(given)[0] != ord("["):
        return None
    # Most histories refer to nothing, and their items need not be looked at one by one.
    raw = bytes(given)
    if b'"file_id"' not in raw and b'"id"' not in raw and b"\\u" not in raw:
        return None
    for index, item in enumerate(_items(given)):
        if referred := _referred(item):
            return Tie(f"input[{index}]", referred)
    return None


def _id_of(value: Raw) -> str | None:
    try:
        told = _decode_referring(value)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, str) else told.id


def _items(value: Raw) -> Sequence[Raw]:
    try:
        return _decode_items(value)
    except (ValueError, RecursionError):
        return ()


def _referred(raw: Raw) -> str | None:
    """The id of what an item of the input refers to: another item, or a file."""
    try:
        item = _decode_item(raw)
    except (ValueError, RecursionError):
        return None
    # The type of a reference may be left out, as may that of a message; but a message has a role.
    if item.type == "item_reference" or (item.type is None and item.role == NULL and item.id):
        return item.id or "item_reference"
    for value in (item.content, item.output):
        if memoryview(value)[0] == ord("[") and mentions(value, b'"file_id"'):
            return next(filter(None, map(_file_of, _items(value))), None)
    return None


def _file_of(part: Raw) -> str | None:
    try:
        return _decode_part(part).file_id
    except (ValueError, RecursionError):
        return None
