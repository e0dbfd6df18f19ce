"""What a worker finds when it is born: its number, its sockets, and its ways to the others."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.workers.sockets import Listening
from proxy.workers.table import Table


@dataclass(frozen=True, slots=True)
class Seat:
    """One worker's; made by the supervisor, used in the worker's own process."""

    number: int
    """Its own as long as it lives: its row in the tables, its address in messages."""
    place: int
    """Which of the listening sockets are its own."""
    channel: socket.socket
    """To the supervisor, a stream of messages."""
    moving: socket.socket
    """To the supervisor as well: connections that are handed over, with what has been read of them."""
    under_way: Table
    """What the host has under way: forgotten when its worker dies."""
    paid: Table
    """What budgets have been given and have paid: only ever more."""
    listening: Sequence[Listening]
    """The sockets of all places: whoever is told to does the work of another, too."""
    started_at: float
    """When the proxy was started, by the wall clock, in seconds."""
