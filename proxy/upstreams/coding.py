"""Content encodings that were not asked for. Sans-IO.

`identity` is what requests ask for; some servers and proxies compress nevertheless. Output comes in pieces of bounded
size, so that whoever reads can stop at a limit of its own: a bomb is never unpacked as a whole.
"""

from __future__ import annotations

import zlib
from typing import Final

from proxy.core.failure import Failure, FailureClass
from proxy.upstreams.errors import TransportError

MAX_PIECE: Final = 256 * 1024
"""Bytes that are unpacked at a time."""
_GZIP_WINDOW, _ZLIB_WINDOW, _RAW_WINDOW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Unpacker:
    """The decoder of one body. Raises TransportError (`bad_encoding`) for what it does not understand."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflate: zlib._Decompress | None = None
        self._packed = b""
        self._more = False

    def feed(self, data: bytes) -> None:
        """Packed bytes. To be called only when `take` has nothing left."""
        self._packed = data

    def take(self) -> bytes:
        """The next bytes of the body; empty when more packed ones are needed."""
        if not self._packed and not self._more:
            return b""
        inflate = self._inflate = self._inflate or self._begin(self._packed[0])
        try:
            data = inflate.decompress(self._packed, MAX_PIECE)
        except zlib.error:
            raise _undecodable() from None
        if inflate.eof and inflate.unused_data:
            raise _undecodable()
        self._packed = inflate.unconsumed_tail
        # A full piece may leave something in the decoder even when its input is used up.
        self._more = len(data) == MAX_PIECE
        return data

    def end(self) -> None:
        """The packed body has ended. One without a byte is an empty body."""
        if self._inflate is not None and not self._inflate.eof:
            raise _undecodable()

    def _begin(self, first: int) -> zlib._Decompress:
        if self._encoding in {"gzip", "x-gzip"}:
            return zlib.decompressobj(_GZIP_WINDOW)
        if self._encoding == "deflate":
            # The name means zlib's format; some servers send bare deflate under it. They differ in the first byte.
            return zlib.decompressobj(_ZLIB_WINDOW if first & 0x0F == 8 else _RAW_WINDOW)
        raise _undecodable()


def unpacker(encoding: str | None) -> Unpacker | None:
    """The decoder for a Content-Encoding; None if there is nothing to decode."""
    encoding = (encoding or "").strip().lower()
    return None if encoding in {"", "identity"} else Unpacker(encoding)


def _undecodable() -> TransportError:
    message = "the answer's content encoding is not valid"
    return TransportError(Failure(FailureClass.BAD_ANSWER, "bad_encoding", message))
