"""The parts of a chat message as Bedrock's content blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from proxy.dialects.conversation import File, Part, cache_mark, image_of
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.media import image_format, read_data_url

_CACHE_POINTS: Final = 4
"""How many a request may have."""
_IMAGES: Final = frozenset({"png", "jpeg", "gif", "webp"})
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_ODD: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME: Final = 150


class Blocks:
    """Makes blocks, and counts what a request may only have so many of."""

    __slots__ = ("_documents", "_points")

    def __init__(self) -> None:
        self._points = 0
        self._documents: set[str] = set()

    def of(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """The blocks of these parts. Blank texts, which are refused, are left out."""
        blocks: list[dict[str, Any]] = []
        for part in parts:
            if (block := self._block(part)) is not None:
                blocks.append(block)
                blocks += self.cache_point(part.cache_control)
        return blocks

    def cache_point(self, control: object) -> list[dict[str, Any]]:
        """A mark behind what shall be kept in the cache, if that is wanted and one more is allowed."""
        mark = None if control is None else cache_mark(control)
        if mark is None or self._points >= _CACHE_POINTS:
            return []
        self._points += 1
        ttl = {} if mark.ttl is None else {"ttl": mark.ttl}
        return [{"cachePoint": {"type": "default", **ttl}}]

    def _block(self, part: Part) -> dict[str, Any] | None:
        if part.image_url is not None:
            return _image(part)
        if part.file is not None:
            return self._document(part.file)
        if part.input_audio is not None:
            audio = part.input_audio
            return {"audio": {"format": audio.format or "", "source": {"bytes": audio.data or ""}}}
        text = part.text if part.text is not None else part.refusal
        if text is None:
            raise NotCarriedError(f"Bedrock has nothing for parts of the type '{part.type[:40]}'.", "messages")
        return {"text": text} if text and not text.isspace() else None

    def _document(self, file: File) -> dict[str, Any]:
        content = read_data_url(file.file_data or "")
        if content is None or not content.data:
            raise NotCarriedError("Bedrock takes files only as data URLs in the request itself.", "messages")
        stem, _, extension = (file.filename or "document").rpartition(".")
        kind = _DOCUMENTS.get(content.media_type, extension.lower())
        if kind not in _DOCUMENTS.values():
            raise NotCarriedError("Bedrock takes no files of this type.", "messages")
        return {"document": {"format": kind, "name": self._name(stem or extension), "source": {"bytes": content.data}}}

    def _name(self, stem: str) -> str:
        """A name of what characters are allowed, which no other document has."""
        name = plain = _ODD.sub(" ", stem).strip()[:_LONGEST_NAME] or "document"
        while name in self._documents:
            name = f"{plain} {len(self._documents) + 1}"
            plain = name
        self._documents.add(name)
        return name


def _image(part: Part) -> dict[str, Any]:
    image = image_of(part)
    kind = image_format(image)
    if kind not in _IMAGES:
        raise NotCarriedError("Bedrock takes images as PNG, JPEG, GIF or WebP.", "messages")
    return {"image": {"format": kind, "source": {"bytes": image.data}}}
