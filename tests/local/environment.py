"""An environment of its own for the local model server, made on first use and kept outside the tree.

One wheel without dependencies: 34 MB to fetch, 100 MB on disk, some ten seconds. `HOLDFAST_TEST_LOCAL=off` leaves all
of it out, `=require` makes it a failure if it cannot be had. `HOLDFAST_TEST_CACHE` names another folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PACKAGE: Final = "xllamacpp==2026.10.11549"
"""llama.cpp's server as a Python module; its last number is llama.cpp's build."""
PATIENCE: Final = 120.0
"""Seconds for all of it, unless it is required."""
REQUIRED_PATIENCE: Final = 600.0


class UnavailableError(Exception):
    """There is no local server here; says why."""


def mode() -> str:
    """`off`, `require`, or "" for what can be had."""
    return os.environ.get("HOLDFAST_TEST_LOCAL", "")


def cache() -> Path:
    """Where things are kept from one run to the next."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast-tests"
    return Path(os.environ.get("HOLDFAST_TEST_CACHE") or usual)


def python() -> Path:
    """The interpreter of the environment, which is made if it is missing. Raises UnavailableError."""
    if mode() == "off":
        raise UnavailableError("HOLDFAST_TEST_LOCAL=off")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache() / f"{PACKAGE.replace('==', '-')}-python{version}"
    interpreter = home / "bin" / "python"
    done = home / "installed"
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(home, ignore_errors=True)
                _make(home, interpreter)
                done.touch()
    except OSError as error:
        raise UnavailableError(f"{PACKAGE} could not be installed into {home}: {error}") from error
    return interpreter


def _make(home: Path, interpreter: Path) -> None:
    uv = shutil.which("uv")
    if uv is not None:
        _run([uv, "venv", "-q", "--python", sys.executable, str(home)])
        _run([uv, "pip", "install", "-q", "--python", str(interpreter), "--only-binary", ":all:", PACKAGE])
        return
    _run([sys.executable, "-m", "venv", str(home)])
    pip = [str(interpreter), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1"]
    _run([*pip, "--timeout", "15", "--no-deps", "--only-binary", ":all:", PACKAGE])


def _run(command: Sequence[str]) -> None:
    patience = REQUIRED_PATIENCE if mode() == "require" else PATIENCE
    try:
        done = subprocess.run(  # noqa: S603 - what is run is named above
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"{PACKAGE} was not installed within {patience:.0f} s; run it again, or with HOLDFAST_TEST_LOCAL=off"
        raise UnavailableError(message) from error
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise UnavailableError(f"{PACKAGE} could not be installed: {said[-1] if said else done.returncode}")
