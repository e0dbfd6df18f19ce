"""Images, sound and files of a chat message, as parts of a Gemini content."""

from __future__ import annotations

import binascii
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.families import Family

_MAGIC: Final = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (0, b"%PDF", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mp3"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
)
"""Where files show what they are: an offset, the bytes there, and the media type that is said to Gemini."""
_MAGIC_CHARACTERS: Final = 24
"""Of base64: eighteen bytes, more than any row of the table looks at."""
_BY_ENDING: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "heic": "image/heic",
    "heif": "image/heif", "gif": "image/gif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "csv": "text/csv", "html": "text/html", "json": "application/json", "wav": "audio/wav", "mp3": "audio/mp3",
    "ogg": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac", "mp4": "video/mp4", "mov": "video/quicktime",
    "webm": "video/webm",
}  # fmt: skip
_REFUSED: Final = frozenset({"image/gif", "image/svg+xml", "image/tiff"})
_OWN_FILES: Final = ("generativelanguage.googleapis.com", "www.youtube.com", "youtu.be")
"""Hosts of files that every model takes."""


def at_address(url: Any, family: Family, param: str = "messages") -> dict[str, Any]:
    """The part for an image, a video or a file at a URL: `data:` with base64, `https:`, or `gs:`."""
    if not isinstance(url, str):
        raise NotCarriedError("An image or file must have a URL.", param)
    if url[:5].lower() == "data:":
        head, comma, data = url.partition(",")
        media, *more = head[5:].split(";")
        if not comma or "base64" not in more:
            raise NotCarriedError("A data URL must hold base64 to be carried over to Gemini.", param)
        return inline(data, media)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NotCarriedError("The URL of an image or file is not valid.", param) from None
    if parts.scheme not in {"https", "gs"} or not parts.netloc:
        raise NotCarriedError("Gemini fetches images and files from https addresses only.", param)
    if not family.fetches and parts.scheme == "https" and parts.hostname not in _OWN_FILES:
        raise NotCarriedError("This model of Gemini does not fetch images and files; send them as data URLs.", param)
    media = _BY_ENDING.get(parts.path.rpartition(".")[2].lower(), "")
    _check(media)
    return {"fileData": {"fileUri": url, "mimeType": media} if media else {"fileUri": url}}


def sound(audio: Any) -> dict[str, Any]:
    """The part for an `input_audio`."""
    data = audio.get("data") if isinstance(audio, dict) else None
    if not isinstance(data, str):
        raise NotCarriedError("An 'input_audio' must have its data.", "messages")
    form = audio.get("format")
    return inline(data, f"audio/{form}" if isinstance(form, str) and form else "audio/wav")


def file(file: Any, family: Family) -> dict[str, Any]:
    """The part for a `file`."""
    data = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(data, str) or not data:
        raise NotCarriedError("A file that was uploaded to another provider cannot be carried over.", "messages")
    if data[:5].lower() == "data:" or data.startswith(("https://", "gs://")):
        return at_address(data, family)
    name = file.get("filename")
    ending = name.rpartition(".")[2].lower() if isinstance(name, str) else ""
    return inline(data, _BY_ENDING.get(ending, "application/pdf"))


def inline(data: str, told: str) -> dict[str, Any]:
    """The part for base64 data; what it is told to be counts only where the bytes do not show it."""
    media = _shown(data) or told.lower().replace("image/jpg", "image/jpeg") or "application/octet-stream"
    _check(media)
    return {"inlineData": {"mimeType": media, "data": data}}


def _check(media: str) -> None:
    if media in _REFUSED:
        raise NotCarriedError(f"Gemini takes no {media}.", "messages")


def _shown(data: str) -> str | None:
    try:
        head = binascii.a2b_base64(data[:_MAGIC_CHARACTERS])
    except ValueError:
        return None
    return next((media for place, magic, media in _MAGIC if head.startswith(magic, place)), None)
