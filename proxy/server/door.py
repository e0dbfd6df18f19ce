"""What a request looks like to whoever answers it, whichever way it came in.

There are two doors. Every request can go through aiohttp (`handler.py`); a plain one on a kept connection is taken off
the socket by the front lane (`lane.py`). What is decided about a request is decided behind them, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from proxy.config.settings import ClientSettings, Settings
from proxy.core.request import Body, ModelRequest
from proxy.core.wire import Wire
from proxy.execution.shortcut import Line
from proxy.routing.plan import Wishes
from proxy.server.clients import identify
from proxy.server.lifecycle import Work
from proxy.server.wire import own_request_id, read_tags, read_wishes, retry_count

MOST_AT_ONCE = 32 * 1024
"""Bytes of a JSON answer that fit the buffers on the way, so that the request need not wait for its client."""


class Asked(NamedTuple):
    """What the head of a request says about who asks, and for what besides the body."""

    client: ClientSettings | None
    wishes: Wishes


def body_patience(settings: Settings, wishes: Wishes) -> float:
    """For how many seconds a request may wait for its body."""
    patience = settings.server.timeout.body
    return patience if wishes.timeout is None else min(patience, wishes.timeout)


PATHS: Final[Mapping[str, Wire]] = MappingProxyType(
    {
        "/v1/chat/completions": Wire.CHAT,
        "/v1/completions": Wire.COMPLETIONS,
        "/v1/responses": Wire.RESPONSES,
        "/v1/embeddings": Wire.EMBEDDINGS,
        "/v1/messages": Wire.MESSAGES,
        "/v1/messages/count_tokens": Wire.COUNT_TOKENS,
    }
)
"""Where clients ask, and in which language."""


class Head:
    """A request's headers, and what was understood of them."""

    __slots__ = ("_asked", "_settings", "client_retry", "headers", "request_id", "tags", "wire")

    def __init__(self, headers: Mapping[str, str], wire: Wire = Wire.CHAT) -> None:
        """`headers` is looked into whatever the case of a name."""
        self.headers = headers
        self.wire = wire
        """The language that the request's path stands for."""
        self.request_id = own_request_id(headers)
        self.client_retry = retry_count(headers)
        self.tags = read_tags(headers)
        self._settings: Settings | None = None
        self._asked: Asked

    def asked(self, settings: Settings) -> Asked:
        """What is asked for, worked out once for each configuration. Raises ClientError (400, 401, 403)."""
        if self._settings is not settings:
            self._asked = Asked(identify(settings.clients, self.headers), read_wishes(self.headers, settings.upstreams))
            self._settings = settings
        return self._asked


class Sender(Protocol):
    """One answer on its way to one client, in pieces; an `Outlet`. Raises ConnectionError when the client is gone, or
    has not taken the answer by the deadline."""

    ended: bool
    """The end is on its way, or out: nothing may follow."""

    @property
    def begun(self) -> bool:
        """The head is on its way, or out."""

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        """As of an `Outlet`."""

    def line(self) -> Line | None:
        """As of an `Outlet`."""

    async def write(self, data: bytes) -> None:
        """As of an `Outlet`; sends the head before the first piece."""

    async def end(self) -> None:
        """The answer is whole."""


class Door(Protocol):
    """One request, and the way back to its client."""

    id: str
    head: Head
    since: float
    """When its head was complete (the loop's clock)."""
    request: ModelRequest | None
    """What it asks, where that was read already."""

    @property
    def work(self) -> Work:
        """What runs on its behalf."""

    @property
    def begun(self) -> bool:
        """Some of an answer is out: no other may follow."""

    async def body(self, limit: int, patience: float) -> Body:
        """The body, of at most `limit` bytes, within `patience` seconds. Raises ClientError (400, 408, 413)."""

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Give a whole answer, of at most `MOST_AT_ONCE` bytes."""

    def begin(self, headers: Mapping[str, str], *, deadline: float, size: int | None = None) -> Sender:
        """Begin an answer with status 200. `size` is that of the body in bytes, None for one that is streamed.

        `deadline` (the loop's clock) is until when the client has to have taken it.
        """
