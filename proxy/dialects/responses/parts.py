"""The content of a message on the responses wire, as that of a chat message.

Texts and images stay the bytes that the client sent: nothing of them is decoded.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.raw_json import NULL, is_text

EMPTY = Raw(b'""')

_encode = msgspec.json.Encoder().encode
_decode_text = msgspec.json.Decoder(str).decode
_decode_parts = msgspec.json.Decoder(list[dict[str, Raw]]).decode

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


def word(value: Raw, place: str) -> str:
    """A short string such as a type; "" for what is absent. Raises NotCarriedError."""
    if value == NULL:
        return ""
    try:
        return _decode_text(value)
    except (ValueError, RecursionError):
        raise NotCarriedError(f"'{place}' must be a string.", place) from None


def parts_of(value: Raw, place: str) -> list[dict[str, Any]]:
    """Content as parts of a chat message: `text`, `image_url`, `file`, `input_audio`, `refusal`.

    Raises NotCarriedError.
    """
    if is_text(value):
        return [{"type": "text", "text": value}]
    if value == NULL:
        return []
    try:
        parts = _decode_parts(value)
    except (ValueError, RecursionError):
        raise NotCarriedError(f"'{place}' must be a string, or a list of parts.", place) from None
    return [_part(part, f"{place}[{index}]") for index, part in enumerate(parts)]


def content_of(parts: list[dict[str, Any]]) -> Raw:
    """The content of a chat message: a string if there is but one text, which every upstream understands."""
    if not parts:
        return EMPTY
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: Raw = parts[0]["text"]
        return text
    return Raw(_encode(parts))


def _part(part: dict[str, Raw], place: str) -> dict[str, Any]:
    kind = word(part.get("type", NULL), f"{place}.type")
    if kind in _TEXTS:
        return {"type": "text", "text": _needed_text(part, "text", place)}
    if kind == "refusal":
        return {"type": "refusal", "refusal": _needed_text(part, "refusal", place)}
    if kind == "input_image":
        return _image(part, place)
    if kind == "input_file":
        return _file(part, place)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio", NULL)}
    raise NotCarriedError(f"A part of the type {kind[:50]!r} has no counterpart in a chat completion.", place)


def _needed_text(part: dict[str, Raw], name: str, place: str) -> Raw:
    value = part.get(name, NULL)
    if not is_text(value):
        raise NotCarriedError(f"'{place}.{name}' must be a string.", f"{place}.{name}")
    return value


def _image(part: dict[str, Raw], place: str) -> dict[str, Any]:
    if part.get("file_id", NULL) != NULL:
        raise NotCarriedError("This deployment cannot fetch an image by its 'file_id'.", place)
    image = {"url": _needed_text(part, "image_url", place)}
    if (detail := part.get("detail", NULL)) != NULL:
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def _file(part: dict[str, Raw], place: str) -> dict[str, Any]:
    for name in ("file_id", "file_url"):
        if part.get(name, NULL) != NULL:
            raise NotCarriedError(f"This deployment cannot fetch a file by its '{name}'; send 'file_data'.", place)
    return {"type": "file", "file": {name: part[name] for name in ("filename", "file_data") if name in part}}
