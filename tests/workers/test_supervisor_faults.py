"""The supervisor when something goes wrong at the worst moment: in a process of its own, with unruly workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_SCRIPT = """\
import os, pickle, selectors, signal, socket, sys, time
from proxy.workers import crew
from proxy.workers.frames import SUPERVISOR, Frames, frame
from proxy.workers.supervisor import Supervisor
crew._FIRST_PAUSE_S = 0.01

class Log:
    def info(self, event, **fields):
        print(event, fields, flush=True)
    warning = info

class Manager:
    patience = None
    def ready(self):
        print("told ready", flush=True)
    reloading = stopping = alive = lambda self: None

def say(seat, *message):
    seat.channel.sendall(frame(SUPERVISOR, pickle.dumps([message])))

def heard(seat):
    frames = Frames()
    while data := seat.channel.recv(65536):
        for _, payload in frames.feed(data):
            yield from pickle.loads(payload)

def serve(seat, about=lambda seat, message: None):
    for message in heard(seat):
        if message[0] in {"begin", "join"}:
            say(seat, "ready")
        elif message[0] == "welcome":
            say(seat, "snapshot", message[1], b"")
        elif message[0] == "stop":
            return 0
        about(seat, message)
    return 0

def dies_as_it_says_that_it_serves(seat):
    # So that this is read after its end, the other one keeps the supervisor busy.
    if seat.place:
        say(seat, "counts", {})
        return serve(seat)
    time.sleep(0.05)
    say(seat, "ready")
    os._exit(1)

def is_told_to_go_as_it_is_born(seat):
    return serve(seat)

def has_no_means(seat):
    return serve(seat)

def talks_nonsense(seat):
    return serve(seat, lambda seat, message: message[0] == "begin" and say(seat, "played", [], None))

def cannot_be_understood(seat):
    return serve(seat, lambda seat, message: message[0] == "begin" and seat.channel.sendall(b"\\xff" * 6))

def hangs(seat):
    time.sleep(20)

def dies_of_a_reload(seat):
    def about(seat, message):
        if message[0] == "reload" and seat.number == 0:
            os._exit(1)
        if message[0] == "reload":
            say(seat, "reloaded")
    return serve(seat, about)

kind = sys.argv[1]
fork = os.fork
select = selectors.DefaultSelector.select
forks = []

def forked():
    forks.append(1)
    if kind == "has_no_means" and len(forks) == 2:
        raise BlockingIOError(11, "no more processes")
    pid = fork()
    if pid == 0 and kind == "is_told_to_go_as_it_is_born" and len(forks) == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return pid

def selected(self, timeout=None):
    found = select(self, timeout)
    time.sleep(0.1)
    return found

os.fork = forked
if kind.startswith("dies_as"):
    selectors.DefaultSelector.select = selected
if kind == "hangs":
    crew._STARTING_S = 1.0
sockets = [(socket.socket(),), (socket.socket(),)]
supervisor = Supervisor(sockets, globals()[kind], serve, Log(), Manager())
print("pid", os.getpid(), flush=True)
sys.exit(supervisor.run())
"""


class Supervised:
    """A supervisor whose workers misbehave in one way."""

    def __init__(self, kind: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", _SCRIPT, kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.output = ""

    def wait_for(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if words in line:
                return
        pytest.fail(f"{words!r} is not in:\n{self.output}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.output += self.process.communicate(timeout=10)[0]
        return self.process.returncode


@pytest.fixture
def supervised(request: pytest.FixtureRequest) -> Iterator[Supervised]:
    made = Supervised(request.param)
    yield made
    made.process.kill()
    made.process.wait()
    assert made.process.stdout is not None
    made.process.stdout.close()


def by(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("supervised", [kind], indirect=True)


@by("dies_as_it_says_that_it_serves")
def test_one_that_is_gone_when_its_word_is_heard_does_not_serve(supervised: Supervised) -> None:
    supervised.wait_for("worker died")
    supervised.wait_for("worker died")
    assert 0 == supervised.stop(), supervised.output


@by("is_told_to_go_as_it_is_born")
def test_a_signal_for_a_worker_that_was_just_forked_is_not_one_for_the_supervisor(supervised: Supervised) -> None:
    supervised.wait_for("signal 15")
    supervised.wait_for("told ready")
    assert 0 == supervised.stop()


@by("has_no_means")
def test_a_fork_that_fails_is_tried_again(supervised: Supervised) -> None:
    supervised.wait_for("worker cannot be started")
    supervised.wait_for("told ready")
    assert 0 == supervised.stop()


@by("talks_nonsense")
def test_a_word_that_makes_no_sense_costs_nothing_else(supervised: Supervised) -> None:
    supervised.wait_for("a bug of the proxy")
    supervised.wait_for("told ready")
    assert 0 == supervised.stop()


@by("cannot_be_understood")
def test_one_that_cannot_be_understood_is_ended(supervised: Supervised) -> None:
    supervised.wait_for("makes no sense")
    supervised.wait_for("worker died")
    assert 0 == supervised.stop()


@by("hangs")
def test_told_to_stop_it_does_not_wait_for_one_that_hangs_in_its_start(supervised: Supervised) -> None:
    supervised.wait_for("pid")
    time.sleep(0.2)
    assert 0 == supervised.stop()
    assert 2 == supervised.output.count("does not become ready")


@by("dies_of_a_reload")
def test_a_reload_of_which_the_leader_dies_is_the_next_ones(supervised: Supervised) -> None:
    supervised.wait_for("told ready")
    supervised.process.send_signal(signal.SIGHUP)
    supervised.wait_for("worker died")
    # Said once more when the configuration has been read.
    supervised.wait_for("told ready")
    assert 0 == supervised.stop()
