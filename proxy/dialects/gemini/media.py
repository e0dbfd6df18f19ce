"""Images, sound and files of a chat message, as parts of a Gemini content."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from proxy.dialects.conversation import Audio, File
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.families import Family
from proxy.dialects.media import DataUrl, media_type, read_data_url

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


def at_address(url: str | None, family: Family, param: str = "messages") -> dict[str, Any]:
    """The part for an image, a video or a file at a URL: `data:` with base64, `https:`, or `gs:`."""
    if url is None:
        raise NotCarriedError("An image or file must have a URL.", param)
    if (content := read_data_url(url)) is not None:
        if not any(content):
            raise NotCarriedError("A data URL must hold something.", param)
        return _inline(content)
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


def sound(audio: Audio | None) -> dict[str, Any]:
    """The part for an `input_audio`."""
    if audio is None or audio.data is None:
        raise NotCarriedError("An 'input_audio' must have its data.", "messages")
    return _inline(DataUrl(f"audio/{audio.format}".lower() if audio.format else "audio/wav", audio.data))


def file(file: File | None, family: Family) -> dict[str, Any]:
    """The part for a `file`."""
    data = file.file_data if file is not None else None
    if file is None or not data:
        raise NotCarriedError("A file that was uploaded to another provider cannot be carried over.", "messages")
    if data[:5].lower() == "data:" or data.startswith(("https://", "gs://")):
        return at_address(data, family)
    ending = (file.filename or "").rpartition(".")[2].lower()
    return _inline(DataUrl(_BY_ENDING.get(ending, "application/pdf"), data))


def _inline(content: DataUrl) -> dict[str, Any]:
    media = media_type(content) or "application/octet-stream"
    _check(media)
    return {"inlineData": {"mimeType": media, "data": content.data}}


def _check(media: str) -> None:
    if media in _REFUSED:
        raise NotCarriedError(f"Gemini takes no {media}.", "messages")
