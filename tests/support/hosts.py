"""Several processes' pools and budgets in one: what one tells, the others hear when the test says so."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence

from proxy.config.settings import Rules
from proxy.core.names import DeploymentId
from proxy.policies.concurrency import LimitSettings
from proxy.pool.permit import Permit
from proxy.pool.shared import Known, SharedPool
from proxy.pool.succession import Layout
from proxy.workers.table import Counts, Table


class Host:
    """Pools of one host, by number. The first one leads."""

    def __init__(
        self,
        size: int,
        named: Mapping[DeploymentId, Sequence[Rules]],
        limits: Mapping[str, LimitSettings] | None = None,
        keys: int = 1,
    ) -> None:
        self.table = Table(8)
        self._named = named
        self._layout = Layout(
            dict.fromkeys({id_.upstream for id_ in named}, keys),
            [(id_, rules) for id_, each in named.items() for rules in each],
            limits or {},
        )
        self.told: list[tuple[int, tuple[object, ...]]] = []
        """What was told and not yet heard: who told it, and what."""
        self.pools = [self._pool(number, None) for number in range(size)]

    def deliver(self, now: float = 0.0) -> list[object]:
        """Let all hear what was told, and the leader judge; the events of that."""
        told, self.told = self.told, []
        for source, message in pickle.loads(pickle.dumps(told)):  # noqa: S301 - our own
            for number, pool in enumerate(self.pools):
                if number != source:
                    kind, upstream, model, *said = message
                    pool.hear(kind, upstream, model, *said)
        events: list[object] = [*self.pools[0].judge(now, 0.0)]
        if self.told:
            events += self.deliver(now)
        return events

    def join(self) -> SharedPool:
        """One more process, with what the leader knows."""
        known: Known = pickle.loads(pickle.dumps((self._layout, self.pools[0].known())))[1]  # noqa: S301 - our own
        self.pools.append(self._pool(len(self.pools), known))
        return self.pools[-1]

    def _pool(self, number: int, known: Known | None) -> SharedPool:
        def tell(*message: object, at_once: bool = False) -> None:
            del at_once
            self.told.append((number, message))

        return SharedPool(
            self._layout, 0.0, known, Counts(self.table, number), tell, lambda id_: self._named.get(id_, ())
        )


def permit(pool: SharedPool, id_: DeploymentId, rules: Rules, now: float = 0.0) -> Permit:
    """A permit that has to be had."""
    admitted = pool.admit(id_, rules, now)
    assert isinstance(admitted, Permit), admitted
    return admitted
