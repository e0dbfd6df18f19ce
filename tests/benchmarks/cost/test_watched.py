"""The profilers that watch from within."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.cost.watched import Calls, Sampler, place


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.parametrize("profiler", [Sampler, Calls])
def test_the_function_that_works_is_found(profiler: type[Sampler | Calls]) -> None:
    kept = signal.getsignal(signal.SIGPROF)
    watching = profiler()
    watching.start()
    burn(0.2)
    functions = watching.stop()
    signal.signal(signal.SIGPROF, kept)
    found = [each for each in functions if each["function"].endswith(" burn")]

    assert 1 == len(found)
    assert found[0]["whole"] > 0.8


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me/holdfast/proxy/server/model_request.py", "proxy/server/model_request.py:7 run"),
        ("/home/me/.venv/lib/python3.11/site-packages/aiohttp/web.py", "aiohttp/web.py:7 run"),
        ("/usr/lib/python3.11/asyncio/events.py", "asyncio/events.py:7 run"),
        ("/usr/lib/python3.11/json/encoder.py", "encoder.py:7 run"),
        ("~", "run"),
    ],
)
def test_a_function_is_told_by_where_it_stands(path: str, expected: str) -> None:
    assert expected == place(path, 7, "run")


def test_a_watched_proxy_is_still_the_proxy(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.cost.watched", "sample", str(tmp_path / "out"), "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own

    assert "holdfast" in done.stdout.lower()
