"""The fast path: requests about which nothing is to be decided, answered without a coroutine.

Theory of operation. Nearly every request is like the one before it: from a client that was seen, for a route whose
first deployment is free, to be answered by one whole JSON that is good. What the engine (`model_request.py` and all
below it) works out about such a request comes out the same each time, so it is worked out once (`_Prepared`), and the
request is served in two callbacks of the network: the one that brings its body, and the one that brings its answer.

    body --take--> in flight --(a good answer, and all of it)--> answered
       |               |
       |               +--(else: an error, half an answer, a timer, a client that leaves)--+
       |                                                                                   v
       +--(anything that is not usual)--------------------------------------------------> engine

Bailing out is possible at every moment. The engine takes up the run where it is, with its permit and with the exchange
that is under way, as if it had come there itself (`Begun`): failures, fallbacks and everything that can go wrong are
its affair alone. The engine is the specification; tests run the same scenarios with the fast path and without it, and
compare what clients, upstreams, the log and the pool see of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from proxy.config.resolve import find_route
from proxy.config.settings import ClientSettings, RouteSettings, Settings
from proxy.core.chat import usual_chat
from proxy.core.errors import ClientError
from proxy.core.event import AttemptEnded, Happening, RequestEnded
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.execution.executor import Executor
from proxy.execution.run import Begun, JsonAnswer, Run
from proxy.pool.permit import IGNORED, Permit
from proxy.pool.standing import FREE
from proxy.routing.eligibility import LEAST_LEARNED
from proxy.routing.explain import reason
from proxy.routing.plan import Planner, Usual, Wishes, plan_of
from proxy.server.clients import may_use
from proxy.server.door import MOST_AT_ONCE, Head, body_patience
from proxy.server.flags import FLAGS
from proxy.server.lifecycle import Lifecycle
from proxy.server.wire import header_lines, safe_name
from proxy.upstreams.prepared_call import PreparedCall
from proxy.upstreams.transport import Exchange

_MOST_KNOWN: Final = 1024
"""Of what is prepared, by client, wishes and model: behind a glob clients choose the names."""


class FastTurn(Protocol):
    """One request of the front lane, as the fast path needs it."""

    id: str
    head: Head
    since: float
    """When its head was complete (the loop's clock)."""
    flight: Flight | None
    """Set while it is on the fast path."""

    def cancel(self) -> object:
        """As of `Work`."""

    def answer_with(self, status: int, lines: str, body: bytes) -> None:
        """Give a whole answer, with these lines of headers. Raises ConnectionError when nobody is there."""

    def break_down(self, error: Exception) -> None:
        """Nobody thought of such an error: log it, and say so if there is somebody to be told."""

    def over(self) -> None:
        """Nothing more is to be done for it."""

    def serve(self, run: Run | None = None) -> None:
        """Let the engine serve it: from its beginning, or from where a run is."""


class _Prepared(NamedTuple):
    """What is the same for all usual requests of one client, with the same wishes, for one model."""

    client: str | None
    wishes: Wishes
    route: RouteSettings
    usual: Usual
    call: PreparedCall
    patience: float
    """Seconds from the request's arrival to its deadline."""
    first: float
    """Seconds from the attempt's beginning until its answer has to have begun."""
    last: bool
    """Nobody else is there to be asked."""
    trail: str
    reason: str
    """Of the answer's head: what stands before the attempt's duration, and behind the timing."""


class FastPath:
    """The fast path of one configuration."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        executor: Executor,
        lifecycle: Lifecycle,
        emit: Callable[[Happening], None],
        clock: Callable[[], float],
    ) -> None:
        self.executor = executor
        self.attempts = executor.world.attempts
        self.lifecycle = lifecycle
        self.emit = emit
        self.clock = clock
        self._settings = settings
        self._most = settings.server.max_concurrent
        self._planner = planner
        self._pool = executor.world.pool
        self._budgets = executor.world.budgets
        self._known: dict[tuple[str | None, Wishes, str], _Prepared] = {}
        """By the client's name, what it wishes, and the model."""

    def let_in(self, turn: FastTurn) -> float | None:
        """Count a request in whose body is still to come; for how many seconds it may wait for that.

        None for one that the engine should see at once.
        """
        if turn.head.wire is not Wire.CHAT or self.lifecycle.ending:
            return None
        try:
            wishes = turn.head.asked(self._settings).wishes
        except ClientError:
            return None
        return body_patience(self._settings, wishes) if self.lifecycle.admit(turn, self._most) else None

    def take(self, turn: FastTurn, body: bytes | bytearray) -> bool:
        """Serve a request, if it is a usual one; whether it is. `body` is all of its body."""
        head, lifecycle, now = turn.head, self.lifecycle, self.clock()
        if head.wire is not Wire.CHAT or lifecycle.ending:
            return False
        request = usual_chat(body)
        if request is None:
            return False
        prepared = self._prepared_for(head, request.model)
        if (
            prepared is None
            or now >= turn.since + prepared.patience
            or not self._planner.suits(prepared.usual, request)
        ):
            return False
        pool, steps = self._pool, prepared.usual.steps
        if len(steps) > 1 and not prepared.last:
            second = steps[1]
            if pool.standing(second.deployment, second.rules, now) is not FREE:
                return False
        if not lifecycle.admit(turn, self._most):
            return False
        first = steps[0]
        permit = pool.admit_free(first.deployment, first.rules, now)
        if permit is None:
            return False
        self._budgets.request(prepared.route.name, now)
        self._budgets.first_attempt(first.deployment.upstream, now)
        exchange = _send(prepared.call, request, permit)
        body_took = now - turn.since
        flight = Flight(self, turn, prepared, request, permit, exchange, body_took, long=len(body) >= LEAST_LEARNED)
        if exchange is None or exchange.answer.failure is not None:
            flight.bail_out()
        else:
            turn.flight = flight
            exchange.notify(flight, min(now + prepared.first, turn.since + prepared.patience))
        return True

    def _prepared_for(self, head: Head, model: str) -> _Prepared | None:
        """What is the same for requests like this one; None where they differ, or it is not known yet that they do not.

        The engine has to have planned for one of the route first: then its usual steps are known.
        """
        try:
            client, wishes = head.asked(self._settings)
        except ClientError:
            return None
        key = (None if client is None else client.name, wishes, model)
        prepared = self._known.get(key)
        if prepared is not None and self._planner.usual(prepared.route.name) is prepared.usual:
            return prepared
        prepared = self._prepare(client, wishes, model)
        if prepared is None:
            self._known.pop(key, None)
            return None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = prepared
        return prepared

    def _prepare(self, client: ClientSettings | None, wishes: Wishes, model: str) -> _Prepared | None:
        route = find_route(self._settings, model)
        usual = None if route is None else self._planner.usual(route.name)
        if route is None or usual is None or not may_use(client, route.name, model):
            return None
        if not _is_usual(route, usual, wishes):
            return None
        plan = plan_of(route, usual.steps, (), wishes, 0.0)
        first = plan.steps[0]
        deployment, last = first.deployment, plan.last_resort is None and len(plan.steps) == 1
        call = self.attempts.prepared(deployment)
        if call is None:
            return None
        return _Prepared(
            None if client is None else client.name,
            wishes,
            route,
            usual,
            call,
            plan.patience,
            plan.patience if last else first.timeouts.answer,
            last,
            f"x-holdfast-route: {safe_name(route.name)}\r\nx-holdfast-attempts: 1\r\n"
            f"x-holdfast-trail: {safe_name(str(deployment))};o=ok;ms=",
            f"x-holdfast-upstream: {deployment.upstream}\r\nx-holdfast-model: {safe_name(deployment.model)}\r\n"
            f"x-holdfast-reason: {safe_name(reason(plan, first, (), {}))}\r\n",
        )


def _send(call: PreparedCall, request: ModelRequest, permit: Permit) -> Exchange | None:
    """Send a request; None where that is for the engine to do."""
    if permit.deployment.refused_parameters:
        return None
    try:
        return call.send(request, permit.key)
    except Exception:  # noqa: BLE001 - whatever it is, the engine has the permit then, and comes to it, too
        return None


def _is_usual(route: RouteSettings, usual: Usual, wishes: Wishes) -> bool:
    """Whether a request for a route is for its first deployment, and for nobody else unless that fails."""
    steps, resort = usual.steps, route.last_resort
    return (
        route.strategy == "sequential"
        and route.hedge is None
        and (resort is None or resort.cached is None)
        and wishes.fallback
        and wishes.upstream is None
        and not wishes.explain
        and bool(steps)
        and steps[0].place == 0
        and all(step.deployment != steps[0].deployment for step in steps[1:2])
    )


class Flight:
    """One request on the fast path. Its exchange wakes it; its turn may have it bail out."""

    __slots__ = ("_body_took", "_exchange", "_long", "_over", "_path", "_permit", "_prepared", "_request", "_turn")

    def __init__(
        self,
        path: FastPath,
        turn: FastTurn,
        prepared: _Prepared,
        request: ModelRequest,
        permit: Permit,
        exchange: Exchange | None,
        body_took: float,
        *,
        long: bool,
    ) -> None:
        """`body_took` is as of a `Run`. `long`: its prompt may be long enough to learn from."""
        self._path = path
        self._turn = turn
        self._prepared = prepared
        self._request = request
        self._permit = permit
        self._exchange = exchange
        self._body_took = body_took
        self._long = long
        self._over = False

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
        path, turn, exchange = self._path, self._turn, self._exchange
        if exchange is None or exchange.answer.unread > MOST_AT_ONCE:
            self.bail_out()
            return
        try:
            brought = path.attempts.end_prepared(self._permit, self._prepared.call, exchange)
            if brought is None:
                self.bail_out()
                return
            self._leave()
            self._tell(*brought)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request has to come to an end
            if not self._permit.spent:
                path.attempts.report(self._permit, IGNORED)
            self._leave()
            turn.break_down(error)
            self._note(500, "internal_error")
        path.lifecycle.over(turn)
        turn.over()

    def bail_out(self) -> None:
        """Let the engine go on from here."""
        turn, prepared, exchange = self._turn, self._prepared, self._exchange
        self._leave()
        plan = plan_of(prepared.route, prepared.usual.steps, (), prepared.wishes, turn.since)
        begun = Begun(self._permit, exchange, prepared.last)
        turn.serve(Run(plan, self._request, turn.since, prepared.client, self._body_took, begun=begun))

    def _leave(self) -> None:
        # They refer to each other: without this only the collector would find them.
        self._over, self._exchange, self._turn.flight = True, None, None

    def _tell(self, answer: JsonAnswer, attempt: AttemptEnded) -> None:
        """Send the answer, and write down what happened."""
        path, turn, prepared = self._path, self._turn, self._prepared
        if self._long:
            path.executor.note_size(self._request, attempt.deployment, answer.usage)
        took = path.clock() - turn.since
        lines = (
            f"{prepared.trail}{attempt.duration * 1000:.0f}\r\nserver-timing: upstream;dur={took * 1000:.1f}, "
            f"wait;dur=0.0, overhead;dur=0.0\r\n{prepared.reason}"
        )
        if answer.headers:
            lines += header_lines(answer.headers)
        if attempt.cost is not None:
            lines += f"x-holdfast-cost: {attempt.cost:.8f}\r\n"
        status, outcome = 200, "ok"
        try:
            turn.answer_with(200, lines + "content-type: application/json\r\n", answer.body)
        except ConnectionError:
            status, outcome = 499, "client_left"
        self._note(status, outcome, attempt, answer.usage)

    def _note(self, status: int, outcome: str, attempt: AttemptEnded | None = None, usage: bytes | None = None) -> None:
        turn, prepared = self._turn, self._prepared
        took = self._path.clock() - turn.since
        record = RequestEnded(
            turn.id, prepared.route.name, self._request.model, False, status, outcome, FLAGS.get(outcome, "")
        )
        record.client, record.client_retry, record.tags = prepared.client, turn.head.client_retry, turn.head.tags
        record.duration, record.waited_for_others = took, self._body_took
        if attempt is not None:
            record.deployment, record.attempts, record.cost = attempt.deployment, (attempt,), attempt.cost
            record.first_token, record.usage = took, usage
            record.waited_for_others += attempt.duration
        self._path.emit(record)
