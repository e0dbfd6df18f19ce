"""The supervisor: holds the sockets, starts the workers, passes on what they tell each other, replaces those that end.

It answers no request and knows nothing of routes. It has one thread and no event loop, so that it may fork at any
moment: a worker is a copy of it that goes on to serve. While nothing happens it sleeps.

What is here is its loop, and what it does about signals, ends and words of workers. Who is replaced and who leads is
decided in `crew.py`; `joining.py` has how a worker learns what the others know, `relay.py` what they tell each other.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence

from proxy.workers.announcing import Announcing
from proxy.workers.crew import Crew, Ended, Member
from proxy.workers.forking import Forking
from proxy.workers.joining import Joining
from proxy.workers.playing import Known, Playing
from proxy.workers.port import Message, Port
from proxy.workers.questions import Questions, Tally
from proxy.workers.relay import Relay
from proxy.workers.seat import Seat
from proxy.workers.signals import Signals
from proxy.workers.sockets import Listening, close
from proxy.workers.surroundings import Notifies, Says


class Supervisor:
    """`run` until told to stop; the exit code."""

    def __init__(
        self,
        listening: Sequence[Listening],
        work: Callable[[Seat], int],
        play: Callable[[Seat, Known | None], int],
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
        self._work = work
        self._log = log
        self._on_terminal = on_terminal
        self._selector = selectors.DefaultSelector()
        self._signals = Signals()
        self._forking = Forking(self._crew.numbers, self._listening, self._selector, self._signals, time.time())
        self._relay = Relay(self._heed, log)
        self._joining = Joining(self._crew, self._relay)
        self._playing = Playing(play, self._fork, self._relay, log)
        self._announcing = Announcing(notifier, ready)
        self._questions, self._tally = Questions(), Tally()
        self._stopping = self._hurried = False
        self._rolling: list[int] = []
        """Workers that are still to be replaced, one after another."""

    def run(self) -> int:
        """Work until told to stop, or until there is nobody left to work."""
        self._signals.begin()
        self._selector.register(self._signals.arrives, selectors.EVENT_READ, lambda _mask: self._signalled())
        while True:
            self._start_due()
            if self._is_over():
                break
            for key, mask in self._selector.select(self._patience()):
                key.data(mask)
            self._reap()
            self._end_stuck()
            self._settle()
            self._announcing.give_sign(time.monotonic())
        for port in self._processes():
            port.close()
        self._selector.close()
        self._signals.end()
        return 0 if self._stopping else 1

    # Processes.

    def _processes(self) -> list[Port]:
        """The ways to all of them."""
        return [*self._relay.ports.values(), *([] if self._playing.port is None else [self._playing.port])]

    def _is_over(self) -> bool:
        if self._relay.ports:
            return False
        if not self._stopping and self._crew.hopeless:
            self._log.warning("no worker is left", restarts=self._crew.restarts)
        elif not self._stopping:
            return False
        self._playing.end()
        return True

    def _start_due(self) -> None:
        if self._stopping:
            return
        for place in self._crew.due(time.monotonic()):
            number = self._crew.free_number()
            try:
                port = self._relay.ports[number] = self._fork(number, place, self._work)
            except OSError as error:
                again_in = self._crew.not_started(place, time.monotonic(), random.random())
                self._log.warning("worker cannot be started", problem=error.strerror, again_in_s=round(again_in, 3))
                continue
            self._crew.started(place, number, port.pid, time.monotonic())
            self._joining.choose_leader()
            self._joining.let_join(port)

    def _fork(self, number: int, place: int, work: Callable[[Seat], int]) -> Port:
        port = self._forking.fork(number, place, work, self._processes())
        self._relay.listen_to(port)
        return port

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if self._playing.port is not None and self._playing.port.pid == pid:
                self._playing.ended(code, wanted=not self._stopping)
            else:
                self._bury(pid, code)

    def _bury(self, pid: int, code: int) -> None:
        number = next((number for number, port in self._relay.ports.items() if port.pid == pid), None)
        if number is None:
            return
        port = self._relay.ports.pop(number)
        # What it said last is still to be read.
        self._relay.read(port)
        port.close()
        self._forking.under_way.clear(number)
        self._tally.gone(number)
        self._questions.gone(number)
        ended = self._crew.ended(number, killed=code < 0, now=time.monotonic(), roll=random.random())
        self._tell_end(ended, code)
        self._joining.choose_leader()
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
                self._relay.send(self._relay.ports[helper.number], ("cover", place))

    def _serving(self) -> Member | None:
        serving = [each for each in self._crew.members.values() if each.phase == "serving"]
        return max(serving, key=lambda each: each.ready_at, default=None)

    # What workers say.

    def _heed(self, port: Port, message: Message) -> None:
        match message:
            case ("ready" | "leaves" | "deaf" | "reloaded",):
                self._heed_word(port, message[0])
            case ("snapshot", welcome, snapshot):
                self._joining.give_snapshot(welcome, snapshot)
            case ("settings", settings):
                self._joining.settings = settings
            case ("ask", ticket, question):
                self._ask(port, ticket, question)
            case ("answer", asker, ticket, value):
                self._questions.answer(port.number, asker, ticket, value)
            case ("counts", counts):
                self._tally.note(port.number, counts)
            case ("play", *_):
                self._playing.ask(port.number, message)
            case ("played", asker, ports, *rest):
                self._playing.answer(asker, ports, tuple(rest))

    def _heed_word(self, port: Port, word: str) -> None:
        if word == "ready" and port.number in self._relay.ports:
            # What it said last is read after its end: then it serves no more.
            self._is_ready(port)
        elif word == "leaves" and port.number in self._crew.members:
            self._lets_go(port)
        elif word == "deaf":
            port.deaf = True
            if self._stopping and all(each.deaf for each in self._relay.ports.values()):
                close(self._listening)
        elif word == "reloaded":
            self._joining.reload_wanted = False
            self._announcing.reloaded()

    def _is_ready(self, port: Port) -> None:
        member = self._crew.members[port.number]
        self._crew.ready(port.number, time.monotonic())
        for other in self._relay.ports.values():
            if other is not port:
                self._relay.send(other, ("uncover", member.place))
                self._joining.let_join(other)
        self._joining.choose_leader()
        self._cover()
        self._tell_crew()
        self._announce()
        self._go_on_rolling()

    def _lets_go(self, port: Port) -> None:
        """A worker goes, and its place is given to another at once."""
        if self._stopping or self._crew.members[port.number].phase == "leaving":
            return
        self._crew.leaves(port.number, time.monotonic())
        self._joining.choose_leader()
        self._cover()
        self._tell_crew()

    def _ask(self, port: Port, ticket: int, question: Message) -> None:
        asked = [each for each in self._relay.ports.values() if each.joined and each is not port]
        self._questions.ask(port.number, ticket, (each.number for each in asked), time.monotonic())
        for each in asked:
            self._relay.send(each, ("asked", port.number, ticket, question))

    def _settle(self) -> None:
        """Give the answers to those who asked. What the others have counted always goes with them."""
        for question in self._questions.settled(time.monotonic()):
            asker = self._relay.ports.get(question.number)
            if asker is not None:
                counted = ("counted", self._tally.of_others(question.number))
                self._relay.send(asker, counted, ("answers", question.ticket, question.answers))

    # What is told.

    def _announce(self) -> None:
        if self._crew.all_ready and not self._crew.hopeless:
            self._announcing.serves()

    def _tell_crew(self) -> None:
        now, wall = time.monotonic(), time.time()
        roster = [
            {
                "worker": member.number,
                "pid": member.pid,
                "phase": member.phase,
                "leads": member.number == self._relay.leader,
                "started_at": round(wall - (now - member.started_at), 3),
                "restarts": self._crew.restarts_of(member.place),
            }
            for member in self._crew.members.values()
        ]
        for port in self._relay.ports.values():
            self._relay.send(port, ("crew", roster, dict(self._crew.restarts)))

    # Time and signals.

    def _patience(self) -> float | None:
        now = time.monotonic()
        until = [self._questions.next_due(), self._announcing.sign_due(), self._crew.next_stuck()]
        if not self._stopping:
            until.append(self._crew.next_due())
        soonest = min(until)
        return None if soonest == math.inf else max(0.0, soonest - now)

    def _signalled(self) -> None:
        for number in self._signals.heard():
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
        self._announcing.reloads()
        self._joining.reload()

    def _stop(self) -> None:
        """Let all finish what they have; told again, end it."""
        if self._stopping:
            self._hurried = True
        else:
            self._stopping = True
            self._announcing.stops()
        for port in self._relay.ports.values():
            self._relay.send(port, ("end" if self._hurried else "stop",))

    def _roll(self) -> None:
        """Replace all workers, one after another."""
        self._rolling = [each.number for each in self._crew.members.values() if each.phase != "leaving"]
        self._log.info("workers are replaced, one after another", workers=len(self._rolling))
        self._go_on_rolling()

    def _go_on_rolling(self) -> None:
        if self._stopping or not self._rolling or not self._crew.all_ready:
            return
        number = self._rolling.pop(0)
        if number in self._relay.ports and self._crew.members[number].phase == "serving":
            self._relay.send(self._relay.ports[number], ("leave",))
            self._lets_go(self._relay.ports[number])
        else:
            self._go_on_rolling()
