"""Images, sound and files in a request: what data URLs hold, and what the bytes say that they are.

The bytes are believed before the client, which often names another type. All data is base64, as every wire has it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

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
"""Where files show what they are: an offset, the bytes there, and the media type."""
_MAGIC_CHARACTERS: Final = 24
"""Of base64: eighteen bytes, more than any row of the table looks at."""


class DataUrl(NamedTuple):
    """The content of a `data:` URL."""

    media_type: str
    """As declared, in lower case, without parameters; "" if the URL names none."""
    data: str
    """Base64."""


def read_data_url(url: str) -> DataUrl | None:
    """The content of a data URL; None for any other address."""
    if url[:5].lower() != "data:":
        return None
    head, _, data = url.partition(",")
    media_type, *parameters = head[5:].lower().split(";")
    if "base64" in (parameter.strip() for parameter in parameters):
        return DataUrl(media_type.strip(), data)
    return DataUrl(media_type.strip(), base64.b64encode(unquote_to_bytes(data)).decode())


def media_type(content: DataUrl) -> str:
    """What the bytes say that they are, otherwise what was declared; "" if neither says anything."""
    try:
        head = binascii.a2b_base64(content.data[:_MAGIC_CHARACTERS])
    except ValueError:
        head = b""
    shown = next((media for place, magic, media in _MAGIC if head.startswith(magic, place)), content.media_type)
    return "image/jpeg" if shown == "image/jpg" else shown


def image_format(image: DataUrl) -> str:
    """`png`, `jpeg`, `gif`, `webp` or another word for the form of an image."""
    return media_type(image).removeprefix("image/")
