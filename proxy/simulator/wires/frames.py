"""Amazon's event stream: binary frames with checksums.

A frame is its length, the length of its headers, a checksum of these two, the headers, the payload, and a checksum of
all before. A header is the length of its name, the name, the kind 7 (text), the length of the text and the text.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """The bytes of one frame."""
    told = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(told) + len(payload), len(told))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + told + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", 7, len(value)) + value
