"""One listening socket, and one proxy after the other that serves it: what systemd does for a socket unit.

The socket is ours and stays open; a process gets it as descriptor 3 and says READY=1 when it serves. Who connects while
nobody serves waits in the socket's queue.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.support.children import ROOT

_PATIENCE_S = 30.0
_QUEUE = 1024
# The process that reads LISTEN_PID is the one that this becomes.
_STARTER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.execv(sys.executable, [sys.executable, '-m', 'proxy', 'serve', '-c', sys.argv[2]])"
)


class Successors:
    """The socket, between entering and leaving the context; whoever still serves it then is ended."""

    def __init__(self, folder: Path) -> None:
        """`folder` has the routes.yaml."""
        self._folder = folder
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=_QUEUE)
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._told.bind(str(folder / "notify"))
        self.log = folder / "successors.log"
        """What they write on standard error, one after the other."""
        self._log: Any = self.log.open("ab")
        self._all: list[Process] = []

    @property
    def url(self) -> str:
        """Where whoever serves can be reached."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in self._all:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        finally:
            self._log.close()
            self._told.close()
            self._socket.close()

    async def start(self) -> Process:
        """One more that serves the socket; returns when it does."""
        number = self._socket.fileno()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LISTEN_FDS": "1"}
        environment["NOTIFY_SOCKET"] = str(self._folder / "notify")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _STARTER, str(number), str(self._folder / "routes.yaml"),
            pass_fds=[number], stdin=DEVNULL, stdout=self._log, stderr=self._log, cwd=self._folder, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self._all.append(process)
        await self._until_told(b"READY=1", process)
        return process

    async def stop(self, process: Process) -> float:
        """Tell it to stop as systemd does, and wait until it is gone; the seconds that took. RuntimeError unless it
        ends well."""
        started = asyncio.get_running_loop().time()
        process.terminate()
        code = await asyncio.wait_for(process.wait(), _PATIENCE_S)
        if code != 0:
            raise RuntimeError(f"the exit code is {code}:\n{self._tail()}")
        return asyncio.get_running_loop().time() - started

    async def _until_told(self, wanted: bytes, process: Process) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                if process.returncode is not None:
                    raise RuntimeError(f"the proxy did not start:\n{self._tail()}")
                try:
                    told = await asyncio.wait_for(loop.sock_recv(self._told, 4096), 0.5)
                except TimeoutError:
                    continue
                if wanted in told.split(b"\n"):
                    return

    def _tail(self) -> str:
        return self.log.read_text()[-2000:]
