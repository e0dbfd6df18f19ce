"""Blocks of a Messages request as parts of a chat message: texts, images and documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Raw

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.messages.shapes import Block, Source, blocks_of, decoded, quoted, text_of
from proxy.dialects.raw_json import NULL, is_text, joined

Part = dict[str, Any]
_PARAGRAPH: Final = b"\\n\\n"
_EMPTY: Final = Raw(b'""')
_PDF_NAME: Final = Raw(b'"document.pdf"')
_MOST_NESTED: Final = 4
"""Documents within documents that are looked into; the wire allows one."""


def parts_of(block: Block, place: str, depth: int = 0) -> list[Part]:
    """The parts that say what a block says. Raises NotCarriedError, and ClientError (400) if it is not valid."""
    write = _WRITERS.get(block.type)
    if write is None or depth > _MOST_NESTED:
        raise NotCarriedError(
            f"a content block of type {block.type[:60]!r} cannot be carried to this model", "messages"
        )
    parts = write(block, place, depth)
    if parts and block.cache_control != NULL:
        parts[-1] = {**parts[-1], "cache_control": block.cache_control}
    return parts


def content_of(parts: Iterable[Part], *, extensions: bool) -> Raw | list[Part]:
    """The content of a message: one text if there is nothing else in it, which every provider takes, else its parts.

    `extensions` keeps what the client told of caching.
    """
    kept = list(parts)
    if not extensions:
        kept = [{name: value for name, value in part.items() if name != "cache_control"} for part in kept]
    if all(part["type"] == "text" and "cache_control" not in part for part in kept):
        return joined([part["text"] for part in kept], _PARAGRAPH)
    return kept


def text_part(text: Raw) -> Part:
    """A text."""
    return {"type": "text", "text": text}


def _text(block: Block, place: str, _depth: int) -> list[Part]:
    text = text_of(block.text, f"{place}.text")
    # Providers refuse texts without a character.
    return [text_part(text)] if text != _EMPTY else []


def _image(block: Block, place: str, _depth: int) -> list[Part]:
    place = f"{place}.source"
    source = decoded(block.source, Source, place)
    if source.type == "base64":
        url = _data_url(text_of(source.media_type, f"{place}.media_type"), text_of(source.data, f"{place}.data"))
    elif source.type == "url":
        url = text_of(source.url, f"{place}.url")
    else:
        raise _elsewhere("an image")
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document(block: Block, place: str, depth: int) -> list[Part]:
    place = f"{place}.source"
    source = decoded(block.source, Source, place)
    told = [text for text in (block.title, block.context) if text != NULL and is_text(text)]
    if source.type == "text":
        return [text_part(joined([*told, text_of(source.data, f"{place}.data")], _PARAGRAPH))]
    if source.type == "content":
        inner = [part for each in blocks_of(source.content, place) for part in parts_of(each, place, depth + 1)]
        return [*map(text_part, told), *inner]
    if source.type != "base64":
        raise _elsewhere("a document")
    file = {
        "filename": block.title if block.title != NULL and is_text(block.title) else _PDF_NAME,
        "file_data": _data_url(
            text_of(source.media_type, f"{place}.media_type"), text_of(source.data, f"{place}.data")
        ),
    }
    context = [text_part(block.context)] if block.context in told else []
    return [*context, {"type": "file", "file": file}]


def _search_result(block: Block, place: str, depth: int) -> list[Part]:
    texts = [text for text in (block.title, block.source) if text != NULL and is_text(text)]
    for each in blocks_of(block.content, place):
        texts += [part["text"] for part in parts_of(each, place, depth + 1) if part["type"] == "text"]
    return [text_part(joined(texts, _PARAGRAPH))]


def _tool_reference(block: Block, place: str, _depth: int) -> list[Part]:
    return [text_part(text_of(block.tool_name, f"{place}.tool_name"))]


def _data_url(media_type: Raw, data: Raw) -> Raw:
    return joined((quoted("data:"), media_type, quoted(";base64,"), data))


def _elsewhere(what: str) -> NotCarriedError:
    return NotCarriedError(f"{what} that is not in the request itself cannot be carried to this model", "messages")


_WRITERS: Final[Mapping[str, Callable[[Block, str, int], list[Part]]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
}
