"""The parts of chat messages as blocks: text, images, documents.

What is no part of chat, or holds what Messages cannot take, raises NotCarriedError: an answer to a question without
its picture would be one to another question.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import unquote_to_bytes

from proxy.dialects.dialect import NotCarriedError

Block = dict[str, Any]

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"
_HEAD: Final = 64
"""Characters of base64 that are decoded to see what they begin."""
_TTLS: Final = ("5m", "1h")


def refuse(message: str, param: str = "messages") -> NoReturn:
    """Say what cannot be carried over. Raises NotCarriedError."""
    raise NotCarriedError(f"Anthropic's messages cannot carry {message}.", param)


def blocks_of(content: object) -> list[Block]:
    """A message's content as blocks. Blank texts, which Messages refuses, are left out. Raises NotCarriedError."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content and not content.isspace() else []
    if not isinstance(content, list):
        refuse("content that is neither a text nor a list of parts")
    return [block for part in content if (block := _block(part)) is not None]


def texts_of(content: object) -> list[Block]:
    """The same of a message that holds only text, such as the system's. Raises NotCarriedError."""
    blocks = blocks_of(content)
    if any(block["type"] != "text" for block in blocks):
        refuse("anything but text in a message of the system or the assistant")
    return blocks


def text_block(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def cached(block: Block, holder: Mapping[str, Any]) -> Block:
    """The block, marked as the end of a prefix to cache if `holder` has such a mark."""
    mark = holder.get("cache_control")
    if isinstance(mark, dict) and mark.get("type") == "ephemeral":
        ttl = mark.get("ttl")
        block["cache_control"] = {"type": "ephemeral", "ttl": ttl} if ttl in _TTLS else {"type": "ephemeral"}
    return block


def _block(part: object) -> Block | None:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, dict):
        refuse("a part that is no object")
    kind = part.get("type")
    if kind in ("text", "refusal"):
        text = part.get("text" if kind == "text" else "refusal")
        if not isinstance(text, str):
            refuse(f"a part of type '{kind}' without a text")
        return cached(text_block(text), part) if text and not text.isspace() else None
    if kind == "image_url":
        return cached(_image(part.get("image_url")), part)
    if kind == "file":
        return cached(_file(part.get("file")), part)
    refuse(f"a part of type '{kind}'" if isinstance(kind, str) and kind.isprintable() else "a part without a type")


def _image(image: object) -> Block:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        refuse("an image without a URL")
    scheme = url[:8].lower()
    if scheme.startswith("data:"):
        declared, data = _data_url(url)
        kind = _kind_of(data) or declared
        if kind not in _IMAGES:
            refuse("an image that is neither JPEG, PNG, GIF nor WebP")
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if scheme.startswith("https://"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    refuse("an image from an address that is not https")


def _file(file: object) -> Block:
    data_url = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(file, dict) or not isinstance(data_url, str):
        refuse("a file that is not in the request itself")
    declared, data = _data_url(data_url) if data_url[:5].lower() == "data:" else ("", data_url)
    kind = _kind_of(data) or declared
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if kind == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": data}
    elif kind.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _text(data)}
    else:
        refuse("a file that is neither a PDF, an image nor text")
    name = file.get("filename")
    titled = {"title": name} if isinstance(name, str) and name.strip() else {}
    return {"type": "document", "source": source, **titled}


def _data_url(url: str) -> tuple[str, str]:
    """The declared media type and the base64 of a data URL."""
    head, comma, data = url[5:].partition(",")
    kind, *parameters = head.split(";")
    if not comma or not data:
        refuse("a data URL without data")
    if "base64" not in (parameter.strip().lower() for parameter in parameters):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    kind = kind.strip().lower()
    return "image/jpeg" if kind == "image/jpg" else kind, data


def _kind_of(data: str) -> str:
    """The media type that the first bytes tell, since what clients declare is often wrong; "" if they tell none."""
    head = data[:_HEAD]
    try:
        begin = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return ""
    if begin.startswith(b"RIFF") and begin[8:12] == b"WEBP":
        return "image/webp"
    signs = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"%PDF-": _PDF}
    return next((kind for sign, kind in signs.items() if begin.startswith(sign)), "")


def _text(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, ValueError):
        refuse("a file of text that is not base64 of UTF-8")
