"""The parts of chat messages as blocks: text, images, documents.

What is no part of chat, or holds what Messages cannot take, raises NotCarriedError: an answer to a question without
its picture would be one to another question.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, NoReturn

from proxy.dialects.conversation import File, Part, cache_mark
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.media import DataUrl, media_type, read_data_url

Block = dict[str, Any]
Content = str | list[Part | str] | None

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"


def refuse(message: str, param: str = "messages") -> NoReturn:
    """Say what cannot be carried over. Raises NotCarriedError."""
    raise NotCarriedError(f"Anthropic's messages cannot carry {message}.", param)


def blocks_of(content: Content) -> list[Block]:
    """A message's content as blocks. Blank texts, which Messages refuses, are left out. Raises NotCarriedError."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content and not content.isspace() else []
    return [block for part in content if (block := _block(part)) is not None]


def texts_of(content: Content) -> list[Block]:
    """The same of a message that holds only text, such as the system's. Raises NotCarriedError."""
    blocks = blocks_of(content)
    if any(block["type"] != "text" for block in blocks):
        refuse("anything but text in a message of the system or the assistant")
    return blocks


def text_block(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def cached(block: Block, control: object) -> Block:
    """The block, marked as the end of a prefix to cache if `control` is such a mark."""
    mark = None if control is None else cache_mark(control)
    if mark is not None:
        block["cache_control"] = {"type": "ephemeral"} if mark.ttl is None else {"type": "ephemeral", "ttl": mark.ttl}
    return block


def _block(part: Part | str) -> Block | None:
    if isinstance(part, str):
        return text_block(part) if part and not part.isspace() else None
    kind = part.type
    if kind in ("text", "refusal"):
        text = part.text if kind == "text" else part.refusal
        if text is None:
            refuse(f"a part of type '{kind}' without a text")
        return cached(text_block(text), part.cache_control) if text and not text.isspace() else None
    if kind == "image_url":
        return cached(_image(part.url), part.cache_control)
    if kind == "file":
        return cached(_file(part.file), part.cache_control)
    refuse(f"a part of type '{kind[:40]}'" if kind.isprintable() else "a part without a type")


def _image(url: str | None) -> Block:
    if url is None:
        refuse("an image without a URL")
    content = _content(url)
    if content is not None:
        kind = media_type(content)
        if kind not in _IMAGES:
            refuse("an image that is neither JPEG, PNG, GIF nor WebP")
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": content.data}}
    if url[:8].lower() == "https://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    refuse("an image from an address that is not https")


def _file(file: File | None) -> Block:
    given = file.file_data if file is not None else None
    if file is None or given is None:
        refuse("a file that is not in the request itself")
    content = _content(given) or DataUrl("", given)
    kind, data = media_type(content), content.data
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if kind == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": data}
    elif kind.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _text(data)}
    else:
        refuse("a file that is neither a PDF, an image nor text")
    titled = {"title": file.filename} if file.filename and file.filename.strip() else {}
    return {"type": "document", "source": source, **titled}


def _content(url: str) -> DataUrl | None:
    content = read_data_url(url)
    if content is not None and not content.data:
        refuse("a data URL without data")
    return content


def _text(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, ValueError):
        refuse("a file of text that is not base64 of UTF-8")
