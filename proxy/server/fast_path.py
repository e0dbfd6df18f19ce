"""The fast path: requests about which nothing is to be decided, answered without a coroutine.

Theory of operation. Nearly every request is like the one before it: from a client that was seen, for a route whose
first deployment is free, to be answered by one good answer. What the engine (`model_request.py` and all
below it) works out about such a request comes out the same each time, so it is worked out once (`Prepared`), and the
request is served in two callbacks of the network: the one that brings its body, and the one that brings its answer;
a stream (`stream_flight.py`) in those that bring its head, its first content and its end.

    body --take--> in flight (`flight.py`) --(a good answer, and all of it)--> answered
       |               |
       |               +--(half an answer, a timer, a client that leaves, something to wait for ...)--+
       |                                                                                              v
       +--(anything that is not usual)-------------------------------------------------------------> engine

Bailing out is possible at every moment. The engine takes up the run where it is, with what was tried, its permit and
the exchange that is under way, as if it had come there itself (`Run.begun`). The engine is the specification; tests run
the same scenarios with the fast path and without it, and compare what clients, upstreams, the log and the pool see of
them.
"""

from __future__ import annotations

from typing import Final

from proxy.config.resolve import find_route
from proxy.config.settings import ClientSettings, RouteSettings, Settings
from proxy.core.chat import is_usual, quick_chat
from proxy.core.errors import ClientError
from proxy.core.request import Body
from proxy.core.wire import Wire
from proxy.execution.executor import Executor
from proxy.execution.walk import hold_of
from proxy.pool.standing import FREE
from proxy.routing.eligibility import LEAST_LEARNED
from proxy.routing.explain import reason
from proxy.routing.plan import Planner, Usual, Wishes, plan_of
from proxy.server.clients import may_use
from proxy.server.door import Head, body_patience
from proxy.server.flight import Base, FastTurn, Flight, Prepared
from proxy.server.lifecycle import Lifecycle
from proxy.server.stream_flight import StreamFlight
from proxy.server.wire import safe_name

_MOST_KNOWN: Final = 1024
"""Of what is prepared, by client, wishes and model: behind a glob clients choose the names."""


class FastPath:
    """The fast path of one configuration."""

    def __init__(self, settings: Settings, planner: Planner, executor: Executor, lifecycle: Lifecycle) -> None:
        world = executor.world
        self._base = Base(executor, world.attempts, lifecycle, world.emit, world.clock)
        self._attempts = world.attempts
        self._lifecycle = lifecycle
        self._clock = world.clock
        self._settings = settings
        self._most = settings.server.max_concurrent
        self._planner = planner
        self._pool = world.pool
        self._budgets = world.budgets
        self._known: dict[tuple[str | None, Wishes, str], Prepared] = {}
        """By the client's name, what it wishes, and the model."""

    def let_in(self, turn: FastTurn) -> float | None:
        """Count a request in whose body is still to come; for how many seconds it may wait for that.

        None for one that the engine should see at once.
        """
        if turn.head.wire is not Wire.CHAT or self._lifecycle.ending:
            return None
        try:
            wishes = turn.head.asked(self._settings).wishes
        except ClientError:
            return None
        return body_patience(self._settings, wishes) if self._lifecycle.admit(turn, self._most) else None

    def take(self, turn: FastTurn, body: Body) -> bool:
        """Serve a request, if it is a usual one; whether it is. `body` is all of its body."""
        head, lifecycle, now = turn.head, self._lifecycle, self._clock()
        if head.wire is not Wire.CHAT or lifecycle.ending:
            return False
        request = turn.request = quick_chat(body)
        if request is None or not is_usual(request):
            return False
        prepared = self._prepared_for(head, request.model)
        if (
            prepared is None
            or now >= turn.since + prepared.patience
            or not self._planner.suits(prepared.usual, request)
        ):
            return False
        if not lifecycle.admit(turn, self._most):
            return False
        budgets, pool, steps = self._budgets, self._pool, prepared.usual.steps
        make = StreamFlight if request.stream else Flight
        flight = make(self._base, turn, prepared, request, now - turn.since, long=len(body) >= LEAST_LEARNED)
        budgets.request(prepared.route.name, now)
        first, second = steps[0], steps[1] if len(steps) > 1 else None
        permit = None
        if second is None or pool.standing(second.deployment, second.rules, now) is FREE:
            permit = pool.admit_free(first.deployment, first.rules, now)
        if permit is not None:
            budgets.first_attempt(first.deployment.upstream, now)
        flight.begin(permit, now)
        return True

    def _prepared_for(self, head: Head, model: str) -> Prepared | None:
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

    def _prepare(self, client: ClientSettings | None, wishes: Wishes, model: str) -> Prepared | None:
        route = find_route(self._settings, model)
        usual = None if route is None else self._planner.usual(route.name)
        if route is None or usual is None or not may_use(client, route.name, model):
            return None
        if not _is_usual(route, usual, wishes):
            return None
        plan = plan_of(route, usual.steps, (), wishes, 0.0)
        first = plan.steps[0]
        deployment = first.deployment
        calls = [self._attempts.prepared(step.deployment) for step in plan.steps]
        if calls[0] is None:
            return None
        return Prepared(
            None if client is None else client.name,
            wishes,
            route,
            usual,
            calls,
            plan.patience,
            plan.last_resort is None and len(plan.steps) == 1,
            hold_of(plan),
            f"x-holdfast-route: {safe_name(route.name)}\r\nx-holdfast-attempts: 1\r\n"
            f"x-holdfast-trail: {safe_name(str(deployment))};o=ok;ms=",
            f"x-holdfast-upstream: {deployment.upstream}\r\nx-holdfast-model: {safe_name(deployment.model)}\r\n"
            f"x-holdfast-reason: {safe_name(reason(plan, first, (), {}))}\r\n",
        )


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
