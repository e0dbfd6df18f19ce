"""Both ends of the measurement: the mock provider, which runs all the time, and the clients of one round."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.cost.machine import Cores, cpu_of, pinned
from benchmarks.cost.peers.peer import KEY, ROOT, Ends, Way
from benchmarks.cost.running import free

_FIRST = {"503": "broken", "cut": "cut"}


class LoadFailed(Exception):  # noqa: N818 - of the load, not of this program
    """The clients came to no end; the message says how."""


class Provider:
    """The mock provider."""

    def __init__(self, cores: Cores) -> None:
        self.ends = Ends(*free(4))
        ports = [str(port) for port in (self.ends.good, self.ends.broken, self.ends.cut)]
        command = [*pinned(cores.ends), sys.executable, "-m", "benchmarks.cost.mock", *ports]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)

    def cpu_s(self) -> float:
        """CPU time so far."""
        return cpu_of(self._process.pid).total

    def asked_first(self, way: str) -> int | None:
        """How often the one that fails was asked; None where it cannot be known."""
        if way not in _FIRST:
            return None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ends.good}/asked", timeout=10) as reply:
            return int(json.load(reply).get(_FIRST[way], 0))


@dataclass
class Clients:
    """The load of one round, on its own core."""

    cores: Cores
    way: Way
    job: dict[str, Any]
    seconds: float

    def run(self) -> dict[str, Any]:
        """Until all have their answers."""
        return self._load(lambda _: None)

    def hold(self, settle_s: float, while_held: Callable[[], None]) -> dict[str, Any]:
        """Bring all connections up, call, and let go of them."""

        def held(process: subprocess.Popen[bytes]) -> None:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(settle_s)
            while_held()

        return self._load(held)

    def _load(self, meanwhile: Callable[[subprocess.Popen[bytes]], None]) -> dict[str, Any]:
        way = {"port": self.way.port, "model": self.way.model, "headers": dict(self.way.headers), "key": KEY}
        job = json.dumps({**self.job, **way, "seconds": self.seconds})
        command = [*pinned(self.cores.ends), sys.executable, "-m", "benchmarks.cost.load", job]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
            try:
                meanwhile(process)
                out, _ = process.communicate(timeout=self.seconds + 90)
            except subprocess.TimeoutExpired as why:
                process.kill()
                raise LoadFailed("the clients came to no end") from why
        if process.returncode:
            raise LoadFailed(f"the clients ended with {process.returncode}")
        told: dict[str, Any] = json.loads(out.splitlines()[-1])
        return told
