"""The supervisor: holds the sockets, starts the workers, passes on what they tell each other, replaces those that end.

It answers no request and knows nothing of routes. It has one thread and no event loop, so that it may fork at any
moment: a worker is a copy of it that goes on to serve. While nothing happens it sleeps.

A worker that joins gets what the host knows from the leader (`welcome`, `snapshot`). What others tell from the moment
at which the leader was asked is kept for it, and follows; so it hears everything once. The leader itself says what it
still has to say before the snapshot, which contains it: that is not kept.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from proxy.workers.crew import Crew, Ended, Member
from proxy.workers.frames import ALL, LEADER, SUPERVISOR, frame
from proxy.workers.port import LARGEST_HEAD, Message, Port
from proxy.workers.questions import Questions, Tally
from proxy.workers.seat import Seat
from proxy.workers.sockets import Listening
from proxy.workers.table import Table

_MOST_UNREAD: Final = 64 * 1024**2
"""Bytes that may wait for a worker. One that does not read for so long is stuck."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
PLAYER: Final = 0xFFF0
"""The address of the process that plays the simulated upstreams."""


class Says(Protocol):
    """The log, as far as it is needed here."""

    def info(self, event: str, **fields: Any) -> None:
        """A line."""

    def warning(self, event: str, **fields: Any) -> None:
        """A line that wants somebody's eye."""


class Notifies(Protocol):
    """The service manager."""

    patience: float | None

    def ready(self) -> None:
        """It serves."""

    def reloading(self) -> None:
        """It reads its configuration again."""

    def stopping(self) -> None:
        """It is on its way out."""

    def alive(self) -> None:
        """A sign of life."""


class Supervisor:
    """`run` until told to stop; the exit code."""

    def __init__(
        self,
        listening: Sequence[Listening],
        work: Callable[[Seat], int],
        play: Callable[[Seat, tuple[dict[str, int], int] | None], int],
        log: Says,
        notifier: Notifies,
        ready: Callable[[], None] = lambda: None,
        on_terminal: bool = False,
    ) -> None:
        """`listening` has the sockets of each worker. `work` is what a worker does, in its own process, until it
        returns the exit code; `play` the same of the process that plays the simulated upstreams, on known ports or on
        any. `ready` is called when all workers serve for the first time."""
        self._crew = Crew(len(listening))
        self._listening = list(listening)
        self._work, self._play = work, play
        self._log, self._notifier, self._tell_ready = log, notifier, ready
        self._on_terminal = on_terminal
        self._under_way = Table(self._crew.numbers)
        self._paid = Table(self._crew.numbers, lasting=True)
        self._ports: dict[int, Port] = {}
        self._player: Port | None = None
        self._player_ports: tuple[dict[str, int], int] | None = None
        self._plays: bytes | None = None
        """What was last asked of the player, by whom."""
        self._questions, self._tally = Questions(), Tally()
        self._settings: bytes | None = None
        """The configuration in force, where it is not the one of the start."""
        self._leader: int | None = None
        self._selector = selectors.DefaultSelector()
        self._begun = time.time()
        self._announced = self._stopping = self._hurried = False
        self._rolling: list[int] = []
        """Workers that are still to be replaced, one after another."""
        self._reload_told = False
        self._sign_due = -math.inf
        self._wake, self._waker = socket.socketpair()

    def run(self) -> int:
        """Work until told to stop, or until there is nobody left to work."""
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda _number, _frame: None)
        self._selector.register(self._wake, selectors.EVENT_READ, self._signalled)
        while True:
            self._start_due()
            if self._is_over():
                break
            for key, mask in self._selector.select(self._patience()):
                key.data(mask) if key.fileobj is not self._wake else self._signalled()
            self._reap()
            self._end_stuck()
            self._settle()
            self._give_sign()
        for port in [*self._ports.values(), *([self._player] if self._player else [])]:
            port.close()
        self._selector.close()
        signal.set_wakeup_fd(-1)
        return 0 if self._stopping else 1

    # Workers.

    def _is_over(self) -> bool:
        if self._ports:
            return False
        if not self._stopping and self._crew.hopeless:
            self._log.warning("no worker is left", restarts=self._crew.restarts)
        elif not self._stopping:
            return False
        if self._player is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._player.pid, signal.SIGTERM)
            os.waitpid(self._player.pid, 0)
        return True

    def _start_due(self) -> None:
        if self._stopping:
            return
        for place in self._crew.due(time.monotonic()):
            number = self._crew.free_number()
            port = self._fork(number, place, self._work)
            self._ports[number] = port
            self._crew.started(place, number, port.pid, time.monotonic())
            self._choose_leader()
            self._let_join(port)

    def _fork(self, number: int, place: int, work: Callable[[Seat], int]) -> Port:
        ours, theirs = socket.socketpair()
        moving, moving_there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for each in (moving, moving_there):
            # Where it would be too little for the head of a request, as on macOS.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_HEAD)
        pid = os.fork()
        if pid == 0:
            self._become_worker([ours, moving])
            seat = Seat(number, place, theirs, moving_there, self._under_way, self._paid, self._listening, self._begun)
            _end_with(work, seat)
        theirs.close()
        moving_there.close()
        port = Port(number, pid, ours, moving, self._selector)
        port.watch(lambda mask: self._serve(port, mask), lambda _mask: self._pass_on(port))
        return port

    def _become_worker(self, ours: list[socket.socket]) -> None:
        """Let go of what is the supervisor's, in the process that was just forked off."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # Ctrl-C reaches the whole group; what to do about it is the supervisor's matter.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._selector.close()
        others = [*self._ports.values(), *([self._player] if self._player else [])]
        for each in (self._wake, self._waker, *ours, *(end for port in others for end in (port.channel, port.moving))):
            each.close()
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._bury(pid, os.waitstatus_to_exitcode(status))

    def _bury(self, pid: int, code: int) -> None:
        if self._player is not None and self._player.pid == pid:
            self._player.close()
            self._player = None
            if not self._stopping:
                self._log.warning("the simulated upstreams ended", code=code)
                self._start_player()
            return
        number = next((number for number, port in self._ports.items() if port.pid == pid), None)
        if number is None:
            return
        port = self._ports.pop(number)
        # What it said last is still to be read.
        self._read(port)
        port.close()
        self._under_way.clear(number)
        self._tally.gone(number)
        self._questions.gone(number)
        ended = self._crew.ended(number, killed=code < 0, now=time.monotonic(), roll=random.random())
        self._tell_end(ended, code)
        self._choose_leader()
        if not self._stopping:
            if ended.replaced_in is not None or ended.given_up:
                self._cover()
            self._tell_crew()
            self._announce()
        self._go_on_rolling()

    def _end_stuck(self) -> None:
        for member in self._crew.stuck(time.monotonic()):
            self._log.warning("worker does not become ready, and is ended", worker=member.number, pid=member.pid)
            # Asked once: until its end is told it counts as begun now.
            member.started_at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)

    def _tell_end(self, ended: Ended, code: int) -> None:
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        fields = {"worker": ended.member.number, "pid": ended.member.pid, "by": how}
        if ended.given_up:
            self._log.warning("worker given up: it ends as soon as it is started", **fields)
        elif ended.replaced_in is not None and not self._stopping:
            self._log.warning("worker died", **fields, replaced_in_s=round(ended.replaced_in, 3))
        elif code != 0:
            self._log.warning("worker died while it left", **fields)
        else:
            self._log.info("worker left", **fields)

    def _cover(self) -> None:
        """Nobody waits for somebody to follow: another one takes what comes to the sockets of a place."""
        helper = self._serving()
        if helper is not None and len({id(each) for each in self._listening}) > 1:
            for place in self._crew.unserved():
                self._send(self._ports[helper.number], ("cover", place))

    def _serving(self) -> Member | None:
        serving = [each for each in self._crew.members.values() if each.phase == "serving"]
        return max(serving, key=lambda each: each.ready_at, default=None)

    # Who leads, who joins.

    def _choose_leader(self) -> None:
        leader = self._crew.leader
        number = None if leader is None else leader.number
        if number == self._leader:
            return
        self._leader = number
        if number is None:
            return
        port = self._ports[number]
        if port.joined:
            self._send(port, ("lead",))
        else:
            # There is nobody whom it could ask.
            port.joined, port.welcomed_by = True, None
            port.kept.clear()
            self._send(port, ("begin", None if self._settings is None else self._settings))
        for other in self._ports.values():
            other.welcomed_by = None if not other.joined else other.welcomed_by
            self._let_join(other)

    def _let_join(self, port: Port) -> None:
        """Ask the leader for what a new worker has to know, once the leader knows it itself."""
        leader = None if self._leader is None else self._crew.members.get(self._leader)
        if port.joined or port.welcomed_by is not None or leader is None or leader.phase != "serving":
            return
        port.welcomed_by = leader.number
        port.kept.clear()
        self._send(self._ports[leader.number], ("welcome", port.number))

    def _is_ready(self, port: Port) -> None:
        member = self._crew.members[port.number]
        self._crew.ready(port.number, time.monotonic())
        for other in self._ports.values():
            if other is not port:
                self._send(other, ("uncover", member.place))
                self._let_join(other)
        self._choose_leader()
        self._cover()
        self._tell_crew()
        self._announce()
        self._go_on_rolling()

    def _announce(self) -> None:
        """Say, once, that nobody is awaited any more and somebody serves."""
        if self._crew.all_ready and not self._crew.hopeless and not self._announced:
            self._announced = True
            self._tell_ready()
            self._notifier.ready()

    def _tell_crew(self) -> None:
        now, wall = time.monotonic(), time.time()
        roster = [
            {
                "worker": member.number,
                "pid": member.pid,
                "phase": member.phase,
                "leads": member.number == self._leader,
                "started_at": round(wall - (now - member.started_at), 3),
                "restarts": self._crew.restarts_of(member.place),
            }
            for member in self._crew.members.values()
        ]
        for port in self._ports.values():
            self._send(port, ("crew", roster, dict(self._crew.restarts)))

    # What is said.

    def _serve(self, port: Port, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            port.write()
        if mask & selectors.EVENT_READ:
            self._read(port)

    def _read(self, port: Port) -> None:
        for address, payload in port.read():
            self._deliver(port, address, payload)

    def _deliver(self, port: Port, address: int, payload: bytes) -> None:
        if address == ALL:
            self._tell_others(port.number, payload)
        elif address == LEADER:
            if self._leader is not None and self._leader in self._ports:
                self._send_raw(self._ports[self._leader], port.number, payload)
        elif address in self._ports:
            self._send_raw(self._ports[address], port.number, payload)
        elif address == SUPERVISOR:
            for message in pickle.loads(payload):  # noqa: S301 - from our own processes
                self._heed(port, message)

    def _tell_others(self, source: int, payload: bytes) -> None:
        for other in list(self._ports.values()):
            if other.number == source:
                continue
            if other.joined:
                self._send_raw(other, source, payload)
            elif other.welcomed_by is not None and other.welcomed_by != source:
                other.kept.append(frame(source, payload))

    def _heed(self, port: Port, message: Message) -> None:
        match message:
            case ("ready" | "leaves" | "deaf" | "reloaded",):
                self._heed_word(port, message[0])
            case ("snapshot", number, snapshot):
                self._give_snapshot(port, number, snapshot)
            case ("settings", settings):
                self._settings = settings
            case ("ask", ticket, question):
                self._ask(port, ticket, question)
            case ("answer", asker, ticket, value):
                self._questions.answer(port.number, asker, ticket, value)
            case ("counts", counts):
                self._tally.note(port.number, counts)
            case ("play", *_):
                self._ask_player(port.number, message)
            case ("played", asker, ports, *rest):
                self._player_ports = ports
                if asker in self._ports:
                    self._send(self._ports[asker], ("played", *rest))

    def _heed_word(self, port: Port, word: str) -> None:
        if word == "ready" and port.number in self._crew.members:
            self._is_ready(port)
        elif word == "leaves" and port.number in self._crew.members:
            self._lets_go(port)
        elif word == "deaf":
            port.deaf = True
            if self._stopping and all(each.deaf for each in self._ports.values()):
                self._close_sockets()
        elif word == "reloaded" and self._reload_told:
            self._reload_told = False
            self._notifier.ready()

    def _give_snapshot(self, leader: Port, number: int, snapshot: bytes) -> None:
        port = self._ports.get(number)
        if port is None or port.joined or port.welcomed_by != leader.number:
            return
        port.joined, port.welcomed_by = True, None
        self._send(port, ("join", snapshot))
        for each in port.kept:
            self._check(port, port.queue(each))
        port.kept.clear()

    def _lets_go(self, port: Port) -> None:
        """A worker goes, and its place is given to another at once."""
        if self._stopping or self._crew.members[port.number].phase == "leaving":
            return
        self._crew.leaves(port.number, time.monotonic())
        self._choose_leader()
        self._cover()
        self._tell_crew()

    # Questions to all.

    def _ask(self, port: Port, ticket: int, question: Message) -> None:
        asked = [each for each in self._ports.values() if each.joined and each is not port]
        self._questions.ask(port.number, ticket, (each.number for each in asked), time.monotonic())
        for each in asked:
            self._send(each, ("asked", port.number, ticket, question))

    def _settle(self) -> None:
        """Give the answers to those who asked. What the others have counted always goes with them."""
        for question in self._questions.settled(time.monotonic()):
            asker = self._ports.get(question.number)
            if asker is not None:
                counted = ("counted", self._tally.of_others(question.number))
                self._send(asker, counted, ("answers", question.ticket, question.answers))

    # The simulated upstreams.

    def _ask_player(self, asker: int, message: Message) -> None:
        self._plays = pickle.dumps([(*message, asker)], pickle.HIGHEST_PROTOCOL)
        if self._player is None:
            self._start_player()
        else:
            self._send_raw(self._player, asker, self._plays)

    def _start_player(self) -> None:
        known = self._player_ports
        self._player = self._fork(PLAYER, 0, lambda seat: self._play(seat, known))
        if self._plays is not None:
            self._send_raw(self._player, SUPERVISOR, self._plays)

    # Connections that move.

    def _pass_on(self, port: Port) -> None:
        head, descriptors = port.read_moved()
        target = self._ports.get(self._leader) if self._leader is not None else None
        try:
            if target is not None and descriptors:
                socket.send_fds(target.moving, [head], descriptors)
        except OSError:
            self._log.warning("a connection could not be handed over")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    # Sending.

    def _send(self, port: Port, *messages: Message) -> None:
        self._check(port, port.send(SUPERVISOR, *messages))

    def _send_raw(self, port: Port, source: int, payload: bytes) -> None:
        self._check(port, port.queue(frame(source, payload)))

    def _check(self, port: Port, unread: int) -> None:
        if unread > _MOST_UNREAD:
            self._log.warning("a worker does not listen to the others, and is ended", worker=port.number, pid=port.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(port.pid, signal.SIGKILL)

    # Time and signals.

    def _patience(self) -> float | None:
        now = time.monotonic()
        until = [self._questions.next_due()]
        if not self._stopping:
            until.append(self._crew.next_due())
        if self._notifier.patience is not None:
            until.append(self._sign_due)
        soonest = min(until, default=math.inf)
        return None if math.isinf(soonest) else max(0.0, soonest - now)

    def _give_sign(self) -> None:
        now = time.monotonic()
        if self._notifier.patience is not None and now >= self._sign_due and self._announced:
            self._notifier.alive()
            self._sign_due = now + self._notifier.patience / 2

    def _signalled(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._wake.recv(4096):
                if number in {signal.SIGTERM, signal.SIGINT}:
                    self._stop()
                elif number == signal.SIGHUP:
                    self._hang_up()
                elif number == signal.SIGUSR2:
                    self._roll()

    def _hang_up(self) -> None:
        if self._on_terminal and not os.isatty(sys.stdin.fileno()):
            self._stop()
            return
        leader = None if self._leader is None else self._ports.get(self._leader)
        if leader is not None:
            self._notifier.reloading()
            self._reload_told = True
            self._send(leader, ("reload",))

    def _stop(self) -> None:
        """Let all finish what they have; told again, end it."""
        if self._stopping:
            self._hurried = True
        else:
            self._stopping = True
            self._notifier.stopping()
        for port in self._ports.values():
            self._send(port, ("end" if self._hurried else "stop",))

    def _close_sockets(self) -> None:
        for listening in self._listening:
            for each in listening:
                each.close()

    def _roll(self) -> None:
        """Replace all workers, one after another."""
        self._rolling = [each.number for each in self._crew.members.values() if each.phase != "leaving"]
        self._log.info("workers are replaced, one after another", workers=len(self._rolling))
        self._go_on_rolling()

    def _go_on_rolling(self) -> None:
        if self._stopping or not self._rolling or not self._crew.all_ready:
            return
        number = self._rolling.pop(0)
        if number in self._ports and self._crew.members[number].phase == "serving":
            self._send(self._ports[number], ("leave",))
            self._lets_go(self._ports[number])
        else:
            self._go_on_rolling()


def _end_with(work: Callable[[Seat], int], seat: Seat) -> None:
    """Work in this process, and never return into what the supervisor was doing."""
    code = 70
    try:
        code = work(seat)
    except BaseException:  # noqa: BLE001 - whatever it is, it ends here
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
