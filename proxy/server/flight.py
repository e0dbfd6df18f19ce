"""One request on the fast path, from its first attempt to its answer; theory of operation in `fast_path.py`.

Whatever is special about streams is in `stream_flight.py`.

Each event of the network finds its flight waiting for one exchange, and leaves it waiting for one, or over:

    ask --> waiting --a good answer--> answered
     ^         |
     |         +--a failure that is known in full--> choose --(nothing that can be done at once)--> the engine's
     |                                                 |
     +--(one that can be asked now)--------------------+

A flight whose first deployment is not free begins with the choice. It is that of the engine: of the same walk and the
same `next_move`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from proxy.config.settings import RouteSettings
from proxy.core.event import AttemptEnded, Happening, RequestEnded
from proxy.core.failure import Failure
from proxy.core.request import ModelRequest
from proxy.execution.attempt import Attempts
from proxy.execution.delivery import Delivery
from proxy.execution.executor import Executor
from proxy.execution.outlet import Outlet
from proxy.execution.run import Begun, JsonAnswer, Run
from proxy.execution.walk import Walk
from proxy.pool.permit import IGNORED, Permit
from proxy.routing.next_move import Attempt, next_move
from proxy.routing.plan import Usual, Wishes, plan_of
from proxy.server.door import MOST_AT_ONCE, Head
from proxy.server.lifecycle import Lifecycle
from proxy.server.telling import close, sum_up, tell_json
from proxy.server.wire import header_lines
from proxy.streams.resume import HoldBack
from proxy.upstreams.prepared_call import PreparedCall
from proxy.upstreams.transport import Exchange, TransportError, UnderWay


class FastTurn(Outlet, Protocol):
    """One request of the front lane, as the fast path needs it."""

    id: str
    head: Head
    since: float
    """When its head was complete (the loop's clock)."""
    request: ModelRequest | None
    """What it asks, once that is read: a long prompt is not read twice."""
    flight: Flight | None
    """Set while it is on the fast path."""

    def cancel(self) -> object:
        """As of `Work`."""

    def answer_with(self, status: int, lines: str, body: bytes) -> None:
        """Give a whole answer, with these lines of headers. Raises ConnectionError when nobody is there."""

    @property
    def takes(self) -> bool:
        """Somebody is there to be answered, and has taken what was sent."""

    def stream_with(self, lines: str, deadline: float, first: bytes) -> None:
        """Begin a streamed answer, with these lines of headers and this content, which the client has to have taken by
        the deadline (the loop's clock). As an outlet it goes on from there. Raises as `answer_with`."""

    def end_stream(self) -> None:
        """The stream is whole. Raises as `answer_with`."""

    def break_down(self, error: Exception) -> None:
        """Nobody thought of such an error: log it, and say so if there is somebody to be told."""

    def over(self) -> None:
        """Nothing more is to be done for it."""

    def serve(self, run: Run | None = None, delivery: Delivery | None = None) -> None:
        """Let the engine serve it: from its beginning, or from where a run is, perhaps with a stream on its way."""


class Prepared(NamedTuple):
    """What is the same for all usual requests of one client, with the same wishes, for one model."""

    client: str | None
    wishes: Wishes
    route: RouteSettings
    usual: Usual
    calls: Sequence[PreparedCall | None]
    """For each of the usual steps."""
    patience: float
    """Seconds from the request's arrival to its deadline."""
    last: bool
    """Nobody but the first is there to be asked."""
    hold: HoldBack
    """What of a stream is kept back until it is complete."""
    trail: str
    reason: str
    """Of the answer's head: what stands before the attempt's duration, and behind the timing."""


class Base(NamedTuple):
    """What all flights of one configuration share."""

    executor: Executor
    attempts: Attempts
    lifecycle: Lifecycle
    emit: Callable[[Happening], None]
    clock: Callable[[], float]


class Flight:
    """One request on the fast path. Its exchange wakes it; its turn may have it bail out."""

    __slots__ = (
        "_base", "_body_took", "_exchange", "_last", "_long", "_over", "_permit", "_prepared", "_request", "_step",
        "_turn", "_walk",
    )  # fmt: skip

    def __init__(
        self, base: Base, turn: FastTurn, prepared: Prepared, request: ModelRequest, body_took: float, *, long: bool
    ) -> None:
        """`body_took` is as of a `Run`. `long`: its prompt may be long enough to learn from."""
        self._base = base
        self._turn = turn
        self._prepared = prepared
        self._request = request
        self._body_took = body_took
        self._long = long
        self._walk: Walk | None = None
        """What came before, once there was a failure, or somebody to be passed over."""
        self._step = 0
        self._permit: Permit | None = None
        self._exchange: Exchange | None = None
        self._last = False
        self._over = False
        turn.flight = self

    def begin(self, permit: Permit | None, now: float) -> None:
        """Ask the first deployment, for a permit; without one, choose."""
        try:
            if permit is None or not self._ask(0, permit, now, last=self._prepared.last):
                self._choose()
        except Exception as error:  # noqa: BLE001 - whatever it is, the request has to come to an end
            self._break_down(error)

    def _ask(self, step: int, permit: Permit, now: float, *, last: bool) -> bool:
        """Send the request to a step of its plan, for a permit, and wait; False if it was refused at once, and another
        one is to be chosen. `last`: nobody else is there to be asked."""
        turn, prepared = self._turn, self._prepared
        self._step, self._permit, self._last = step, permit, last
        begun = self._send(prepared.calls[step], permit)
        if isinstance(begun, Failure):
            self._take_in(begun, self._base.attempts.end_refused(permit, begun, now))
            return False
        if not isinstance(begun, Exchange) or begun.answer.failure is not None:
            self.bail_out(begun)
        else:
            until = turn.since + prepared.patience
            if not last:
                timeouts = prepared.usual.steps[step].timeouts
                until = min(until, now + (timeouts.first_token if self._request.stream else timeouts.answer))
            self._exchange = begun
            begun.notify(self, until)
        return True

    def done(self) -> bool:
        """As of a `Waiter`."""
        return self._over

    def set_exception(self, error: BaseException) -> None:
        """As of a `Waiter`."""
        del error
        self.bail_out()

    def set_result(self, nothing: None) -> None:
        """As of a `Waiter`: something came."""
        del nothing
        base, turn, exchange, permit = self._base, self._turn, self._exchange, self._permit
        call = self._prepared.calls[self._step]
        if exchange is None or permit is None or call is None or exchange.answer.unread > MOST_AT_ONCE:
            self.bail_out()
            return
        try:
            brought = base.attempts.end_prepared(permit, call, exchange)
            if brought is None:
                self.bail_out()
                return
            result, attempt = brought
            if isinstance(result, Failure):
                self._take_in(result, attempt)
                self._choose()
                return
            self._leave()
            self._tell(result, attempt)
        except Exception as error:  # noqa: BLE001 - as above
            self._break_down(error)
        else:
            base.lifecycle.over(turn)
            turn.over()

    def bail_out(self, begun: UnderWay | None = None) -> None:
        """Let the engine go on from here; `begun` is what has been done just now of the attempt."""
        run = self._run() if self._walk is None else self._walk.run
        if self._permit is not None:
            run.begun = Begun(self._permit, self._exchange or begun, self._last, self._step)
        self._leave()
        self._turn.serve(run)

    def _choose(self) -> None:
        """Ask whomever the engine would ask next, as long as that can be done at once."""
        walk = self._walk or self._begin_to_walk()
        run, clock = walk.run, self._base.clock
        # Not one call deeper for each that refuses: a chain may be as long as it likes.
        while True:
            now = clock()
            move = next_move(run.plan, run.history, walk.standings(now), walk, now)
            if not isinstance(move, Attempt) or move.at > now or (permit := walk.admit(move)) is None:
                self.bail_out()
                return
            walk.go_to(move.step)
            if self._ask(move.step, permit, now, last=move.last):
                return

    def _send(self, call: PreparedCall | None, permit: Permit) -> UnderWay | Failure | None:
        """Begin an attempt; None where that is for the engine to do."""
        if call is None or permit.deployment.refused_parameters:
            return None
        try:
            return call.send(self._request, permit.key)
        except TransportError as error:
            return error.failure
        except Exception:  # noqa: BLE001 - whatever it is, the engine has the permit then, and comes to it, too
            return None

    def _take_in(self, failure: Failure, attempt: AttemptEnded) -> None:
        """Write down an attempt that failed: the first one, or one after it."""
        walk = self._walk
        if walk is None:
            walk = self._begin_to_walk()
            walk.go_to(self._step)
        self._permit = self._exchange = None
        walk.run.ended.append(attempt)
        walk.judge(self._step, failure)

    def _begin_to_walk(self) -> Walk:
        walk = self._walk = Walk(self._base.executor.world, self._run())
        walk.run.walked, walk.run.history.luck = True, walk.world.roll()
        return walk

    def _run(self) -> Run:
        turn, prepared = self._turn, self._prepared
        plan = plan_of(prepared.route, prepared.usual.steps, (), prepared.wishes, turn.since)
        return Run(plan, self._request, turn.since, prepared.client, self._body_took)

    def _break_down(self, error: Exception) -> None:
        """Nobody thought of such an error."""
        base, turn, permit, exchange = self._base, self._turn, self._permit, self._exchange
        if permit is not None and not permit.spent:
            base.attempts.report(permit, IGNORED)
        self._leave()
        if exchange is not None:
            # Else an upstream that is still at it would be waited for by nobody.
            exchange.close()
        turn.break_down(error)
        record = self._record()
        if self._walk is not None:
            sum_up(record, self._walk.run)
        record.status, record.outcome = 500, "internal_error"
        self._note(record)
        base.lifecycle.over(turn)
        turn.over()

    def _leave(self) -> None:
        # They refer to each other: without this only the collector would find them.
        self._over, self._exchange, self._turn.flight = True, None, None

    def _tell(self, answer: JsonAnswer, attempt: AttemptEnded) -> None:
        """Send a good answer, and write down what happened."""
        base, turn, walk = self._base, self._turn, self._walk
        if self._long:
            base.executor.note_size(self._request, attempt.deployment, answer.usage)
        record = self._record()
        if walk is None:
            lines = self._tell_first(answer, attempt, record)
        else:
            walk.run.ended.append(attempt)
            walk.run.answered = base.clock()
            lines = header_lines(tell_json(base, walk.run, answer, record))
            sum_up(record, walk.run)
        try:
            turn.answer_with(200, lines, answer.body)
        except ConnectionError:
            record.status, record.outcome = 499, "client_left"
        self._note(record)

    def _tell_first(self, answer: JsonAnswer, attempt: AttemptEnded, record: RequestEnded) -> str:
        """As `tell_json`, where the first attempt has brought the answer: most of it is prepared."""
        took = self._base.clock() - self._turn.since
        self._note_first(record, attempt, answer.usage, took)
        lines = self._lines_above(attempt.duration, took)
        if answer.headers:
            lines += header_lines(answer.headers)
        if attempt.cost is not None:
            lines += f"x-holdfast-cost: {attempt.cost:.8f}\r\n"
        return lines + "content-type: application/json\r\n"

    def _lines_above(self, lasted: float, took: float) -> str:
        """The lines of headers above the answer to the first attempt, which lasted so many seconds; the request has
        taken `took`, in seconds, too."""
        prepared = self._prepared
        return (
            f"{prepared.trail}{lasted * 1000:.0f}\r\nserver-timing: upstream;dur={took * 1000:.1f}, "
            f"wait;dur=0.0, overhead;dur=0.0\r\n{prepared.reason}"
        )

    def _note_first(self, record: RequestEnded, attempt: AttemptEnded, usage: bytes | None, first_token: float) -> None:
        """As `sum_up`, where the first attempt has brought the answer."""
        record.status, record.usage, record.first_token = 200, usage, first_token
        record.deployment, record.attempts, record.cost = attempt.deployment, (attempt,), attempt.cost
        record.waited_for_others += attempt.duration

    def _note(self, record: RequestEnded) -> None:
        """Write down what came of the request."""
        close(self._base, record, self._turn.since)

    def _record(self) -> RequestEnded:
        """The record of the request: what is asked."""
        turn, prepared, request = self._turn, self._prepared, self._request
        return RequestEnded(
            turn.id,
            prepared.route.name,
            request.model,
            request.stream,
            client=prepared.client,
            waited_for_others=self._body_took,
            client_retry=turn.head.client_retry,
            tags=turn.head.tags,
        )
