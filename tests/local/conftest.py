"""llama.cpp's own server on a model that is made on the spot, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.local import environment
from tests.local.counting import LAST, calling, counting, thinking
from tests.local.server import LocalServer

WINDOW = 1024
"""Tokens of a prompt and its answer."""

KEY = "a-key-of-the-servers"
_missing: list[str] = []
"""Why there is no server, if there is none."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason in dict.fromkeys(_missing):
        terminalreporter.write_line(f"no local model server: {reason}")


def _missing_server(reason: str) -> NoReturn:
    _missing.append(reason)
    if environment.mode() == "require":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., LocalServer]:
    """Starts a server. Where there can be none, tests are skipped, or fail if one is required."""
    try:
        interpreter = environment.python()
    except environment.UnavailableError as error:
        _missing_server(str(error))
    logs = tmp_path_factory.mktemp("logs")

    def start(model: Path, *, window: int, embeddings: bool = False, key: str | None = None) -> LocalServer:
        try:
            return LocalServer.start(interpreter, logs, model, window=window, embeddings=embeddings, key=key)
        except RuntimeError as error:
            _missing_server(str(error))

    return start


@pytest.fixture(scope="session")
def models(start: Callable[..., LocalServer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model files, which are made only if there is a server for them."""
    folder = tmp_path_factory.mktemp("models")
    for make in (counting, thinking, calling):
        (folder / f"{make.__name__}.gguf").write_bytes(make())
    return folder


@pytest.fixture(scope="session")
def server(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """A server for chat that lasts."""
    running = start(models / "counting.gguf", window=WINDOW)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def guarded(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """One that wants a key, which lasts."""
    running = start(models / "counting.gguf", window=WINDOW, key=KEY)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def embedder(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """A server for embeddings that lasts."""
    running = start(models / "counting.gguf", window=WINDOW, embeddings=True)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def thinker(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """A server whose model thinks, which lasts; its window holds all that the model says."""
    running = start(models / "thinking.gguf", window=2 * LAST)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def caller(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """A server whose model calls a tool, which lasts."""
    running = start(models / "calling.gguf", window=WINDOW)
    yield running
    running.kill()


@pytest.fixture
def mortal_thinker(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """Another one like it, to be killed."""
    running = start(models / "thinking.gguf", window=2 * LAST)
    yield running
    running.kill()


@pytest.fixture
def mortal(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """A server of a test's own, to be killed; its window holds all that the model says."""
    running = start(models / "counting.gguf", window=2 * LAST)
    yield running
    running.kill()


@pytest.fixture
def heir(start: Callable[..., LocalServer], models: Path) -> Iterator[LocalServer]:
    """Another one like it, which lives."""
    running = start(models / "counting.gguf", window=2 * LAST)
    yield running
    running.kill()
