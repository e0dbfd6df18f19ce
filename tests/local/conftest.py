"""llama.cpp's own server on a model that is made on the spot, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local import environment
from tests.local.counting import LAST, calling, counting, thinking
from tests.local.environment import UnavailableError
from tests.local.server import LocalServer, start

WINDOW = 1024
"""Tokens of a prompt and its answer."""

_reasons: list[str] = []


def served(model: Path, **wanted: object) -> LocalServer:
    """A running server; a test that cannot have one is skipped, or fails where one is required."""
    try:
        return start(model, **wanted)  # type: ignore[arg-type]
    except UnavailableError as error:
        _reasons.append(str(error))
        if environment.mode() == "require":
            pytest.fail(str(error))
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _reasons:
        terminalreporter.write_line(f"no local model server: {_reasons[0]}")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model files."""
    folder = tmp_path_factory.mktemp("models")
    for make in (counting, thinking, calling):
        (folder / f"{make.__name__}.gguf").write_bytes(make())
    return folder


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[LocalServer]:
    """A server for chat that lasts."""
    running = served(models / "counting.gguf", window=WINDOW)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def embedder(models: Path) -> Iterator[LocalServer]:
    """A server for embeddings that lasts."""
    running = served(models / "counting.gguf", window=WINDOW, embeddings=True)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def thinker(models: Path) -> Iterator[LocalServer]:
    """A server whose model thinks, which lasts; its window holds all that the model says."""
    running = served(models / "thinking.gguf", window=2 * LAST)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def caller(models: Path) -> Iterator[LocalServer]:
    """A server whose model calls a tool, which lasts."""
    running = served(models / "calling.gguf", window=WINDOW)
    yield running
    running.kill()


@pytest.fixture
def mortal_thinker(models: Path) -> Iterator[LocalServer]:
    """Another one like it, to be killed."""
    running = served(models / "thinking.gguf", window=2 * LAST)
    yield running
    running.kill()


@pytest.fixture
def mortal(models: Path) -> Iterator[LocalServer]:
    """A server of a test's own, to be killed; its window holds all that the model says."""
    running = served(models / "counting.gguf", window=2 * LAST)
    yield running
    running.kill()


@pytest.fixture
def heir(models: Path) -> Iterator[LocalServer]:
    """Another one like it, which lives."""
    running = served(models / "counting.gguf", window=2 * LAST)
    yield running
    running.kill()
