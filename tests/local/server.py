"""A running local model server, as a process that a test may kill."""

from __future__ import annotations

import json
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.local.environment import UnavailableError, python

SCRIPT: Final = Path(__file__).with_name("llama_server.py")
PATIENCE: Final = 60.0
"""Seconds until it must listen; it takes a tenth of one."""


@dataclass
class LocalServer:
    """One server, its address without a slash at the end."""

    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def start(model: Path, *, name: str = "qwen3-counting", window: int, embeddings: bool = False) -> LocalServer:
    """A server on a free port of the loopback. Raises UnavailableError."""
    wanted = json.dumps({"model": str(model), "name": name, "window": window, "embeddings": embeddings})
    log = model.with_suffix(".log")
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own script
            [python(), "-P", SCRIPT, wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    server = LocalServer(process, process.stdout.readline().strip() if ready else "")
    if server.url.startswith("http://127.0.0.1:"):
        return server
    server.kill()
    said = log.read_text(errors="replace").strip().splitlines()
    raise UnavailableError(f"the local server did not start: {said[-1] if said else 'it said nothing'}")
