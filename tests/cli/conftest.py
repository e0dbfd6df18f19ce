"""A command line in this process (`cli`) or in one of its own (`start`), away from whatever the environment holds."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.main import cli as holdfast
from tests.conformance.conftest import running

__all__ = ["running"]

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
routes:
  default: {chain: [primary/m, backup/m]}
"""
_PATIENCE_S = 20.0
_OURS = re.compile(r"HOLDFAST_|.*_API_KEY$|HOST$|PORT$|OLLAMA_|NO_COLOR$|.*_proxy$", re.IGNORECASE)

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's: an empty folder, no keys, no Ollama."""
    for name in os.environ:
        if _OURS.match(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{free_port()}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def routes(folder: Path) -> Path:
    """A routes.yaml of simulated upstreams in the current folder."""
    file = folder / "routes.yaml"
    file.write_text(ROUTES)
    return file


@pytest.fixture
def cli() -> Cli:
    def run(*words: str, **environ: str) -> Result:
        return CliRunner().invoke(holdfast, words, env=environ)

    return run


class Process:
    """A running command. Its output is read by a thread, and a test waits for a line instead of for a while."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "proxy", *words]
        root = str(Path(__file__).parents[2])
        self._popen = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": root}
        )
        self.output = ""
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in the output, once it is there."""
        with self._grown:
            self._grown.wait_for(lambda: re.search(pattern, self.output) or self._popen.poll() is not None, _PATIENCE_S)
            found = re.search(pattern, self.output)
        assert found, self.output
        return found

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def end(self) -> int:
        """Wait for the end; the exit code."""
        code = self._popen.wait(_PATIENCE_S)
        self._reader.join(_PATIENCE_S)
        return code

    def kill(self) -> None:
        self._popen.kill()
        self.end()

    def _read(self) -> None:
        assert self._popen.stdout
        with self._popen.stdout as stream:
            while piece := os.read(stream.fileno(), 65536):
                with self._grown:
                    self.output += piece.decode()
                    self._grown.notify_all()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def run(*words: str) -> Process:
        started.append(Process(*words))
        return started[-1]

    yield run
    for process in started:
        process.kill()


class Answering(HTTPServer):
    """A server that gives every GET and POST one answer."""

    def __init__(self, body: bytes, content_type: str = "application/json", status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def answering() -> Iterator[Callable[..., Answering]]:
    servers: list[tuple[Answering, threading.Thread]] = []

    def run(body: bytes, content_type: str = "application/json", status: int = 200) -> Answering:
        server = Answering(body, content_type, status)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield run
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def one_line(result: Result, code: int) -> str:
    """The only line of a failure: on standard error, with nothing on standard output."""
    assert ("", code) == (result.stdout, result.exit_code), result.output
    assert 1 == len(result.stderr.splitlines()), result.stderr
    return result.stderr.rstrip("\n")
