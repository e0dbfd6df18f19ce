"""A running local model server, as a process that a test may kill."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SCRIPT: Final = Path(__file__).with_name("llama_server.py")
PATIENCE: Final = 60.0
"""Seconds until it must listen; it takes a tenth of one."""


@dataclass
class LocalServer:
    """One server, its address without a slash at the end."""

    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(
        cls,
        interpreter: Path,
        logs: Path,
        model: Path,
        *,
        name: str = "qwen3-counting",
        window: int,
        embeddings: bool = False,
        key: str | None = None,
    ) -> Self:
        """A server on a free port of the loopback, with a window of so many tokens for each request.

        RuntimeError, with its own last words, when it does not start.
        """
        wanted = json.dumps({"model": str(model), "name": name, "window": window, "embeddings": embeddings, "key": key})
        with tempfile.NamedTemporaryFile("w+", dir=logs, delete=False) as log:
            process = subprocess.Popen(  # noqa: S603 - our own script
                [interpreter, "-P", SCRIPT, wanted],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            server = cls(process, process.stdout.readline().strip() if ready else "")
            if not server.url:
                server.kill()
                log.seek(0)
                raise RuntimeError(f"llama.cpp did not start: {log.read()[-500:].strip()}")
        return server

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
