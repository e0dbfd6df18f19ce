"""The two agreements with systemd: telling it how the process is, and taking over sockets that it has opened.

Both are a few lines over a socket and the environment (sd_notify(3), sd_listen_fds(3)); elsewhere they do nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping

_FIRST_FD = 3
_USEC = 1_000_000


class Notifier:
    """Tells the service manager how the process is. What it does not take is lost: nobody waits for it."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A name that begins with an @ is one of Linux's that have no file.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.patience: float | None = None
        """Seconds without a sign of life after which the manager ends the process; None for no such limit."""
        usec, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
        if self._address and usec.isascii() and usec.isdecimal() and int(usec) > 0 and meant == str(pid):
            self.patience = int(usec) / _USEC

    def ready(self) -> None:
        """It serves, after a start or a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """It reads its configuration again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It is on its way out."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    async def live(self) -> None:
        """Give signs of life as often as the manager wants them, for as long as the event loop turns."""
        while self.patience is not None:
            self.alive()
            await asyncio.sleep(self.patience / 2)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.setblocking(False)
                sending.sendto(message.encode(), self._address)
        except OSError:
            pass


def inherited_sockets(environ: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The sockets that were opened for this process and listen already; mostly none.

    Raises ValueError for one that does not take connections.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not (count.isascii() and count.isdecimal()):
        return []
    taken: list[socket.socket] = []
    for number in range(_FIRST_FD, _FIRST_FD + int(count)):
        try:
            os.set_inheritable(number, False)
            inherited = socket.socket(fileno=number)
            listens = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise ValueError(f"file descriptor {number} is no socket: {error.strerror or error}") from None
        if not listens:
            raise ValueError(f"file descriptor {number} does not listen; use ListenStream= in the socket unit")
        inherited.setblocking(False)
        taken.append(inherited)
    return taken
