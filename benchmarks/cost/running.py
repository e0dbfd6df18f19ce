"""Proxies that run: each is started on the cores set aside for it, waited for, and ended by its own id."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.cost.machine import Cores, Cpu, Memory, cpu_of, memory_of, pinned
from benchmarks.cost.peers.holdfast import UPSTREAMS
from benchmarks.cost.peers.peer import KEY, WAYS, Launch, Missing, Peer, Place, Way

_PATIENCE_S = 90.0
"""LiteLLM takes a quarter of a minute to start, on a busy machine more."""
_OURS = frozenset({"holdfast", "before"})


class Running:
    """A proxy in one place; `direct` has no process, and costs nothing."""

    def __init__(self, peer: Peer, place: Place, cores: Cores) -> None:
        self.peer = peer
        self.started_s = 0.0
        self._place = place
        self._cores = cores
        self._launch: Launch = peer.launch(place)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The proxy's."""
        return self.peer.name

    @property
    def ways(self) -> dict[str, Way]:
        """How clients ask for each way."""
        return dict(self._launch.ways)

    @property
    def pid(self) -> int:
        """The proxy's first process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run it until it answers. Raises `Missing` with what it said when it does not."""
        if not self._launch.command:
            return
        began = time.monotonic()
        environment = {**os.environ, **self._launch.environment}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*pinned(self._cores.proxies), *self._launch.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._launch.folder or self._place.folder,
                env=environment,
            )
        while not self._answers("straight"):
            if self._process.poll() is not None or time.monotonic() - began > _PATIENCE_S:
                self.stop()
                raise Missing(f"{self.name} did not start: {self._last_words()}")
            time.sleep(0.02)
        self.started_s = time.monotonic() - began
        if self.name in _OURS:
            self._close_breakers()
        # Once each: what a proxy does on the first occasion is not what it costs.
        for way in WAYS:
            self._answers(way)

    def stop(self) -> None:
        """End it, gently if it lets us."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """As if it had never served anybody."""
        self.stop()
        self.start()

    @property
    def died(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def version(self) -> str:
        """What it calls itself."""
        return self.peer.version(self._place.installed)

    def cpu(self) -> Cpu:
        """CPU time so far."""
        return Cpu() if self._process is None else cpu_of(self._process.pid)

    def memory(self) -> Memory:
        """Memory now."""
        return Memory(0, 0) if self._process is None else memory_of(self._process.pid)

    @property
    def _log(self) -> Path:
        return self._place.folder / "log"

    def _answers(self, name: str) -> bool:
        way = self._launch.ways[name]
        body = json.dumps({"model": way.model, "messages": [{"role": "user", "content": "Hello"}]}).encode()
        with contextlib.suppress(OSError, ConnectionError):
            _post(way.port, "/v1/chat/completions", body, dict(way.headers))
            return True
        return False

    def _close_breakers(self) -> None:
        """Held closed by order, for longer than this runs: nginx has none, and every request is to fail over."""
        for upstream in UPSTREAMS.values():
            with contextlib.suppress(urllib.error.HTTPError):  # a tree that has no such upstream
                _post(self._place.port, f"/admin/v1/deployments/{upstream}/m/close", b'{"for": "24h"}', {})

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        # A finding in a configuration is told first, an exception last.
        told = lines if len(lines) < 3 else [lines[0], lines[-1]]
        return " ... ".join(line[:200] for line in told) or "it said nothing"


def _post(port: int, path: str, body: bytes, headers: dict[str, str]) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **headers}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        reply.read()


def free(count: int = 1) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def free_row(count: int) -> int:
    """The first of several free ports in a row."""
    while True:
        (first,) = free()
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
