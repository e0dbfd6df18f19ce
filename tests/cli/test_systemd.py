"""What systemd is told, and the sockets that it hands over: as its manual says, without it."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.systemd import Notifier, inherited_sockets
from tests.cli.conftest import Process

LISTENING = r'"event":"listening","url":"(http://[^"]*)/v1"'


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(20)
        self.told: list[str] = []

    def wait_for(self, start: str) -> str:
        """The next message that begins so."""
        while True:
            message = self._socket.recv(4096).decode()
            self.told.append(message)
            if message.startswith(start):
                return message

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, folder: Path) -> Iterator[Manager]:
    made = Manager(str(folder / "notify") if request.param == "file" else f"@holdfast-test-{os.getpid()}")
    yield made
    made.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_is_told_what_happens(
    start, routes: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    before = time.monotonic_ns() // 1000
    process = start("serve", "--workers", workers)
    manager.wait_for("READY=1")
    manager.wait_for("WATCHDOG=1")
    manager.wait_for("WATCHDOG=1")
    process.send(signal.SIGHUP)
    reloading = manager.wait_for("RELOADING=1")
    at = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)
    assert at and before < int(at[1]) <= time.monotonic_ns() // 1000
    manager.wait_for("READY=1")
    process.send(signal.SIGTERM)
    manager.wait_for("STOPPING=1")
    assert 0 == process.end()


@pytest.mark.parametrize(
    ("environ", "patience"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "4000000"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "4000000"}, 4.0),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "7"}, 4.0),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "8"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_signs_of_life_as_wanted(environ: dict[str, str], patience: float | None) -> None:
    notifier = Notifier(environ, 7)
    # A manager that is not there is no trouble.
    notifier.ready()
    assert patience == notifier.patience


def activated(listening: socket.socket, *words: str) -> subprocess.Popen[bytes]:
    """A command that is started as systemd starts it: the socket at 3, and the command's own number in LISTEN_PID."""
    root = str(Path(__file__).parents[2])
    starter = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
        "os.execv(sys.executable, [sys.executable, '-m', 'proxy', *sys.argv[2:]])"
    )
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", starter, str(listening.fileno()), *words],
        pass_fds=[listening.fileno(), 3] if listening.fileno() != 3 else [3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": root, "LISTEN_FDS": "1"},
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sockets_are_taken_over_and_outlive_the_process(routes: Path, workers: str) -> None:
    routes.write_text(routes.read_text().replace("port: 0", "port: 1"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        answers: list[int] = []

        def ask() -> None:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=30) as response:
                answers.append(response.status)

        for _ in range(2):
            # Asked before anybody is there: the system keeps the connection until somebody takes it.
            asking = threading.Thread(target=ask)
            asking.start()
            process = activated(listening, "serve", "--workers", workers)
            asking.join(30)
            assert process.stdout is not None
            # Told when all workers serve; the first of them has answered by then.
            said = next(line for line in process.stdout if b'"listening"' in line)
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=20)[0].decode()
            assert 0 == process.returncode, output
            assert f'"url":"http://127.0.0.1:{port}/v1"' in said.decode()
        assert [200, 200] == answers


def test_a_socket_for_all_needs_clients(routes: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:  # noqa: S104 - that is the point
        process = activated(listening, "serve")
        output = process.communicate(timeout=20)[0].decode()
    assert (1, True) == (process.returncode, "the socket unit lets anyone in" in output), output


def test_only_sockets_that_listen_and_are_meant_for_us() -> None:
    pid = str(os.getpid())
    assert [] == inherited_sockets({}, os.getpid())
    assert [] == inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, os.getpid())
    assert [] == inherited_sockets({"LISTEN_PID": pid, "LISTEN_FDS": "many"}, os.getpid())
    assert [] == inherited_sockets({"LISTEN_PID": pid, "LISTEN_FDS": "0"}, os.getpid())


def test_a_file_is_no_socket(routes: Path, folder: Path) -> None:
    with (folder / "file").open("w") as file:
        process = activated(file, "serve")  # type: ignore[arg-type]
        output = process.communicate(timeout=20)[0].decode()
    assert (1, True) == (process.returncode, "file descriptor 3 is no socket" in output), output


def test_a_socket_that_does_not_listen(routes: Path) -> None:
    with socket.socket() as idle:
        process = activated(idle, "serve")
        output = process.communicate(timeout=20)[0].decode()
    assert (1, True) == (process.returncode, "does not listen" in output), output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_terminal_that_goes_away_ends_the_proxy(routes: Path, workers: str) -> None:
    """SIGHUP from a shell whose window is closed means what it always has."""
    ours, theirs = pty.openpty()
    starter = (
        "import os, sys; os.login_tty(int(sys.argv[1])); "
        "os.execv(sys.executable, [sys.executable, '-m', 'proxy', 'serve', '--log-format', 'json', *sys.argv[2:]])"
    )
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", starter, str(theirs), "--workers", workers],
        pass_fds=[theirs],
        env={**os.environ, "PYTHONPATH": root},
    )
    os.close(theirs)
    seen = b""
    while b"listening" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    try:
        assert 0 == process.wait(20)
    finally:
        process.kill()
        process.wait()


def test_nothing_is_asked_of_other_systems(start, routes: Path) -> None:
    process: Process = start("serve")
    process.wait_for(LISTENING)
    process.send(signal.SIGHUP)
    process.wait_for('"event":"reload"')
    process.send(signal.SIGTERM)
    assert 0 == process.end()
