"""Good answers kept for times when all fail: the last one to each request, of routes that ask for it.

An answer is kept as the bytes that its client got, under a digest of the whole request, so it is given only to one that
is the same in every field. All of it is in memory, bounded; the oldest goes first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.execution.outlet import Outlet

MOST_BYTES_EACH = 1024 * 1024
_MOST_BYTES = 64 * 1024 * 1024


class Kept(NamedTuple):
    """One answer: a JSON body, or a whole stream."""

    body: bytes
    deployment: DeploymentId
    at: float
    """When it was given (monotonic seconds)."""


class KeptAnswers:
    """The kept answers of the process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, name: bytes, answer: Kept) -> None:
        """Keep an answer in place of an older one."""
        if len(answer.body) > MOST_BYTES_EACH:
            return
        self._drop(name)
        self._kept[name] = answer
        self._bytes += len(answer.body)
        while self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def find(self, name: bytes, max_age: float, now: float) -> Kept | None:
        """The answer to a request, if there is one that is not older than `max_age` seconds."""
        found = self._kept.get(name)
        return found if found is not None and now - found.at <= max_age else None

    def _drop(self, name: bytes) -> None:
        dropped = self._kept.pop(name, None)
        if dropped is not None:
            self._bytes -= len(dropped.body)


def name_of(route: str, client: str | None, request: ModelRequest) -> bytes:
    """The digest by which an answer to this request is kept: for its client alone, streamed or not."""
    who = (client or "").encode()
    digest = hashlib.sha256(b"%d:%s/%s/%s" % (len(who), who, request.wire.encode(), route.encode()))
    for field in sorted(request.fields):
        value = bytes(request.fields[field])
        digest.update(b"%d:%s=%d:%s" % (len(field), field.encode(errors="surrogatepass"), len(value), value))
    return digest.digest()


class Copy:
    """Passes on what is written to a client, and keeps it for later, as long as it is not too much."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._pieces: list[bytes] = []
        self._size = 0

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        """Pass on at once, if that is possible."""
        if not self._outlet.push(data, chunk):
            return False
        self._keep(data)
        return True

    def line(self) -> None:
        """None: all of it is looked at here."""

    async def write(self, data: bytes) -> None:
        """Pass on."""
        self._keep(data)
        await self._outlet.write(data)

    def _keep(self, data: bytes) -> None:
        # Whatever comments say, they say it of this time, not of a later one.
        kept = data.partition(b"\n\n")[2] if data.startswith(b":") else data
        self._size += len(kept)
        if self._size <= MOST_BYTES_EACH:
            self._pieces.append(kept)

    @property
    def whole(self) -> bytes | None:
        """All that was written; None if it was too much."""
        return b"".join(self._pieces) if self._size <= MOST_BYTES_EACH else None
