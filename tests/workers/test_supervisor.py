"""The supervisor with workers that end: in a process of its own, since it forks and listens to signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_SCRIPT = """\
import os, signal, socket, sys, time
from proxy.workers import crew
from proxy.workers.supervisor import Supervisor
crew._FIRST_PAUSE_S = 0.001

class Log:
    def info(self, event, **fields):
        print(event, fields, flush=True)
    warning = info

class Quiet:
    patience = None
    def ready(self):
        print("told ready", flush=True)
    reloading = stopping = alive = lambda self: None

def fails(seat):
    return 3

def serves(seat):
    # As little as a worker may do: begin, say so, and end when told to.
    import asyncio
    from proxy.workers.link import Link
    async def main():
        over = asyncio.Event()
        def heard(source, messages):
            for kind, *said in messages:
                if kind in {"begin", "join"}:
                    link.tell_supervisor("ready")
                elif kind == "welcome":
                    link.tell_supervisor("snapshot", said[0], b"")
                elif kind == "stop":
                    over.set()
        link = Link(seat, heard, over.set)
        await link.open()
        await over.wait()
        link.close()
        return 0
    return asyncio.run(main())

def hangs(seat):
    time.sleep(60)
    return 0

def one_fails(seat):
    return fails(seat) if seat.place else serves(seat)

sockets = [(socket.socket(),), (socket.socket(),)]
work = {"fails": fails, "serves": serves, "hangs": hangs, "one_fails": one_fails}[sys.argv[1]]
if sys.argv[1] == "hangs":
    crew._STARTING_S = 0.01
print("pid", os.getpid(), flush=True)
sys.exit(Supervisor(sockets, work, work, Log(), Quiet()).run())
"""


def supervised(work: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", _SCRIPT, work],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )


@pytest.mark.parametrize(("work", "how"), [("fails", "exit 3"), ("hangs", "signal 9")])
def test_workers_that_end_as_soon_as_they_start_end_it(work: str, how: str) -> None:
    process = supervised(work)
    output = process.communicate(timeout=30)[0]

    assert 1 == process.returncode, output
    assert 2 * 7 == output.count("worker died")
    assert 2 == output.count("worker given up")
    assert f"'by': '{how}'" in output
    assert "no worker is left" in output


def test_one_that_is_given_up_leaves_the_other_at_work() -> None:
    process = supervised("one_fails")
    assert process.stdout is not None
    for line in process.stdout:
        if "worker given up" in line:
            break
    assert "told ready" in next(iter(process.stdout))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert 0 == process.returncode


def test_it_sleeps_while_nothing_happens() -> None:
    process = supervised("serves")
    assert process.stdout is not None
    for line in process.stdout:
        if "told ready" in line:
            break
    # What the workers were told last is on its way.
    time.sleep(0.2)
    before = spent(process.pid)
    time.sleep(0.5)
    assert before == spent(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert 0 == process.returncode


def spent(pid: int) -> tuple[str, str, str]:
    """CPU time, and how often it was woken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    (switches,) = [line for line in status.splitlines() if line.startswith("voluntary")]
    return fields[11], fields[12], switches
