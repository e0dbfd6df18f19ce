"""What an upstream remembers of the requests it received, within bounds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from multidict import CIMultiDictProxy

from proxy.simulator.question import parse_json


@dataclass(slots=True, eq=False)
class ReceivedRequest:
    """One request as it arrived, and what became of it. Times are the event loop's, in seconds."""

    method: str
    path: str
    """Path and query."""
    headers: CIMultiDictProxy[str]
    body: bytes
    connection: int
    """Number of the connection it came on, counted from 1."""
    received_at: float
    wire: str | None = None
    """The language that was spoken, such as `anthropic`; None for paths without an answer of a model."""
    fault: str | None = None
    """Name of the fault that hit it."""
    finished_at: float | None = None
    """When the answer was complete, or the fault had run its course; None while it runs and when aborted."""
    aborted: bool = False
    """The client closed before the answer was complete."""
    dropped: bool = False
    """The simulator closed before the answer was complete (other than by a fault's script)."""

    @property
    def json(self) -> object:
        """The decoded body; None when it is no JSON."""
        return parse_json(self.body)


class Ledger:
    """The last requests, as long as their bodies fit into the byte budget; the newest is always kept."""

    def __init__(self, keep: int, max_bytes: int = 64 << 20) -> None:
        self._kept: deque[ReceivedRequest] = deque()
        self._keep = keep
        self._max_bytes = max_bytes
        self._bytes = 0

    def add(self, received: ReceivedRequest) -> None:
        """Remember one more, and forget the oldest beyond the bounds."""
        self._kept.append(received)
        self._bytes += len(received.body)
        while len(self._kept) > 1 and (len(self._kept) > self._keep or self._bytes > self._max_bytes):
            self._bytes -= len(self._kept.popleft().body)

    def kept(self) -> list[ReceivedRequest]:
        """The remembered requests, oldest first."""
        return list(self._kept)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._bytes = 0
