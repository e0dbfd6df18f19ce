"""Who is welcomed by whom, and gets what was said meanwhile."""

import pickle
import selectors
import socket
from collections.abc import Iterator

import pytest

from proxy.workers import relay as relaying
from proxy.workers.crew import Crew
from proxy.workers.frames import ALL, SUPERVISOR, Frames, frame
from proxy.workers.joining import Joining
from proxy.workers.port import Message, Port
from proxy.workers.relay import Relay


class Quiet:
    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, event: str, **_fields: object) -> None:
        self.said.append(event)

    warning = info


class Workers:
    """A crew whose processes are sockets of the test."""

    def __init__(self) -> None:
        self.log = Quiet()
        self.crew, self.relay = Crew(3), Relay(self._heed, self.log)
        self.joining = Joining(self.crew, self.relay)
        self._selector = selectors.DefaultSelector()
        self._theirs: dict[int, socket.socket] = {}
        self._sockets: list[socket.socket] = []

    def _heed(self, _port: Port, message: Message) -> None:
        if message[0] == "snapshot":
            self.joining.give_snapshot(*message[1:])

    def start(self, number: int) -> None:
        (ours, theirs), (moving, other) = socket.socketpair(), socket.socketpair()
        theirs.setblocking(False)
        # Nobody has this pid.
        port = self.relay.ports[number] = Port(number, 2**31 - 1, ours, moving, self._selector)
        self.relay.listen_to(port)
        self._theirs[number] = theirs
        self._sockets += [theirs, other]
        self.crew.started(number, number, port.pid, float(number))
        self.joining.choose_leader()
        self.joining.let_join(port)

    def ready(self, number: int) -> None:
        self.crew.ready(number, float(number))
        for port in self.relay.ports.values():
            self.joining.let_join(port)

    def die(self, number: int) -> None:
        self.relay.ports.pop(number).close()
        self.crew.ended(number, killed=True, now=100.0, roll=0.0)
        self.joining.choose_leader()

    def say(self, number: int, address: int, *messages: Message) -> None:
        self._theirs[number].sendall(frame(address, pickle.dumps(list(messages))))
        self.relay.read(self.relay.ports[number])

    def heard(self, number: int) -> list[Message]:
        try:
            data = self._theirs[number].recv(2**20)
        except BlockingIOError:
            return []
        return [message for _, payload in Frames().feed(data) for message in pickle.loads(payload)]  # noqa: S301 - ours

    def close(self) -> None:
        for port in self.relay.ports.values():
            port.close()
        for each in self._sockets:
            each.close()
        self._selector.close()


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers()
    made.start(0)
    made.ready(0)
    made.start(1)
    assert [("begin", None), ("welcome", 1)] == made.heard(0)
    yield made
    made.close()


def test_what_is_said_while_a_snapshot_is_awaited_follows_it(workers: Workers) -> None:
    workers.say(0, ALL, ("the leader's own",))
    workers.say(0, SUPERVISOR, ("snapshot", 1, b"all"))
    workers.ready(1)
    workers.start(2)
    assert [("welcome", 2)] == workers.heard(0)
    workers.say(1, ALL, ("order",))
    workers.say(0, SUPERVISOR, ("snapshot", 2, b"all"))

    assert [("join", b"all")] == workers.heard(1)
    assert [("join", b"all"), ("order",)] == workers.heard(2)


def test_the_snapshot_for_one_that_died_is_not_its_successors(workers: Workers) -> None:
    workers.say(0, SUPERVISOR, ("snapshot", 1, b"all"))
    workers.ready(1)
    workers.start(2)
    workers.die(2)
    # It is not in the first snapshot, and was said before anything was kept for the successor.
    workers.say(1, ALL, ("order",))
    workers.start(2)
    assert [("welcome", 2), ("order",), ("welcome", 3)] == workers.heard(0)
    workers.say(0, SUPERVISOR, ("snapshot", 2, b"without the order"))
    assert [] == workers.heard(2)
    workers.say(0, SUPERVISOR, ("snapshot", 3, b"with the order"))
    assert [("join", b"with the order")] == workers.heard(2)


def test_when_the_leader_dies_before_its_snapshot_the_next_one_is_asked(workers: Workers) -> None:
    workers.say(0, SUPERVISOR, ("snapshot", 1, b"all"))
    workers.ready(1)
    workers.start(2)
    workers.say(1, ALL, ("order",))
    workers.die(0)
    assert [("join", b"all"), ("lead",), ("welcome", 3)] == workers.heard(1)
    workers.say(1, SUPERVISOR, ("snapshot", 3, b"with the order"))
    assert [("join", b"with the order")] == workers.heard(2)


def test_what_is_kept_is_bounded(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.say(0, SUPERVISOR, ("snapshot", 1, b"all"))
    workers.ready(1)
    workers.start(2)
    monkeypatch.setattr(relaying, "_MOST_UNREAD", 10_000)
    killed: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, _signal: killed.append(pid))
    for _ in range(5):
        workers.say(1, ALL, ("x" * 3000,))
        workers.heard(0)
    assert [2**31 - 1] * 2 == killed
    assert ["a worker does not listen to the others, and is ended"] * 2 == workers.log.said


def test_a_reload_goes_to_the_next_leader_until_one_has_done_it(workers: Workers) -> None:
    workers.say(0, SUPERVISOR, ("snapshot", 1, b"all"))
    workers.ready(1)
    workers.joining.reload()
    assert [("reload",)] == workers.heard(0)
    workers.die(0)
    assert [("join", b"all"), ("lead",), ("reload",)] == workers.heard(1)
