"""How the supervisor and its workers talk: messages over a stream, each with a length and an address.

What a worker sends has the address it is for; what it gets has the address it is from. The supervisor passes on what is
for others as it came, without reading it.
"""

from __future__ import annotations

import struct
from typing import Final

SUPERVISOR: Final = 0xFFFF
ALL: Final = 0xFFFE
"""All workers that serve, but for the sender."""
LEADER: Final = 0xFFFD

TICKET: Final = struct.Struct("!HQ")
"""Before what was read of a connection that moves: whose it was, and which."""
_HEAD: Final = struct.Struct("!IH")
_LARGEST: Final = 256 * 1024**2


def frame(address: int, payload: bytes) -> bytes:
    """One message on the wire."""
    return _HEAD.pack(len(payload), address) + payload


class Frames:
    """Finds the messages in what has been read."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that are complete now, each with its address. Raises ValueError for what can be none."""
        rest = self._rest
        rest += data
        found: list[tuple[int, bytes]] = []
        at = 0
        while len(rest) - at >= _HEAD.size:
            length, address = _HEAD.unpack_from(rest, at)
            if length > _LARGEST:
                raise ValueError(f"a message of {length} bytes")
            end = at + _HEAD.size + length
            if len(rest) < end:
                break
            found.append((address, bytes(rest[at + _HEAD.size : end])))
            at = end
        del rest[:at]
        return found
