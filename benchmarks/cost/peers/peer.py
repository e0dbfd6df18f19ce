"""What every proxy under measurement has to say of itself: how it is installed, configured and started."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk-benchmark-0000000000000000"
"""What every client sends; LiteLLM wants one of this shape, the others do not look."""
WAYS = ("straight", "503", "refused", "cut")
"""How an answer is come by: from the first upstream, or from the second after such a failure of the first."""


class Missing(Exception):  # noqa: N818 - an answer to a question rather than a fault
    """This proxy cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Ends:
    """Where the mock provider listens."""

    good: int
    broken: int
    """Answers 503."""
    cut: int
    """Breaks off within the head of a JSON answer, and before the first content of a stream."""
    gone: int
    """Nobody listens here."""

    def first(self, way: str) -> int:
        """The upstream that is to be asked first."""
        return {"straight": self.good, "503": self.broken, "refused": self.gone, "cut": self.cut}[way]


@dataclass(frozen=True)
class Place:
    """What a proxy is given to run in."""

    folder: Path
    """Its own, for its configuration and its log."""
    ends: Ends
    port: int
    """The first of four free ports in a row; proxies that cannot tell ways apart by the model use one for each."""
    workers: int
    installed: Path
    """Where `--install` puts what is not the system's."""

    def each(self) -> list[tuple[str, int, int]]:
        """Each way, the port for it, and the upstream to be asked first."""
        return [(way, self.port + number, self.ends.first(way)) for number, way in enumerate(WAYS)]

    def write(self, name: str, text: str) -> Path:
        """A file of the proxy's own."""
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Way:
    """How a client asks for it."""

    port: int
    model: str = "chat"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """How it is started, once its files are written."""

    command: list[str]
    ways: Mapping[str, Way]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """The working directory, if not its own folder."""


@dataclass(frozen=True)
class Peer:
    """A proxy that can be measured."""

    name: str
    launch: Callable[[Place], Launch]
    """Raises `Missing` when it is not installed or cannot do what is wanted."""
    install: Callable[[Path], None] = lambda _: None
    version: Callable[[Path], str] = lambda _: ""
    """What it calls itself; given where things are installed."""
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Scenarios it is left out of, and why."""


def by_port(place: Place) -> dict[str, Way]:
    """The ways of a proxy that has one port for each."""
    return {way: Way(port) for way, port, _ in place.each()}


def program(name: str) -> str:
    """Where a program of the system is."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name} is not installed (--install installs it)")
    return found


def numbered(said: str) -> str:
    """The first version number in a text."""
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else ""


def says(name: str, option: str) -> Callable[[Path], str]:
    """The version that a program of the system tells."""

    def version(_: Path) -> str:
        done = subprocess.run([program(name), option], capture_output=True, text=True, check=False)
        return numbered(done.stdout + done.stderr)

    return version


def from_debian(package: str, name: str) -> Callable[[Path], None]:
    """An installer of a Debian package, unless the program is there already."""

    def install(_: Path) -> None:
        try:
            program(name)
        except Missing:
            # The package's own service is not to run: its configuration is nobody's here.
            subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", package], check=True)

    return install


def from_pypi(name: str, *packages: str) -> Callable[[Path], None]:
    """An installer into a virtual environment of the peer's own."""

    def install(installed: Path) -> None:
        folder = installed / name
        if not (folder / "bin" / name).exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(folder / "bin" / "pip"), "install", "-q", *packages], check=True)

    return install


def pip_says(name: str, package: str) -> Callable[[Path], str]:
    """The version of a package that `from_pypi` has installed."""

    def version(installed: Path) -> str:
        command = [str(installed / name / "bin" / "pip"), "show", package]
        return numbered(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    return version


def in_environment(installed: Path, name: str) -> str:
    """A program that `from_pypi` has installed."""
    path = installed / name / "bin" / name
    if not path.exists():
        raise Missing(f"{name} is not in {path.parent} (--install installs it)")
    return str(path)
