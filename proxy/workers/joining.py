"""Who is told to lead, and how a worker that is new comes to know what the others know.

Theory of operation: a worker that joins gets what the host knows from the leader (`welcome`, `snapshot`). What others
tell from the moment at which the leader was asked is kept for it, and follows; so it hears everything once. The leader
itself says what it still has to say before the snapshot, which contains it: that is not kept. When the leader ends in
between, the next one is asked, and what was kept is in its snapshot.

Where nobody knows anything the new worker leads, and begins with the configuration in force (`begin`).
"""

from __future__ import annotations

from proxy.workers.crew import Crew
from proxy.workers.port import Port
from proxy.workers.relay import Relay


class Joining:
    """See above. Whoever is to be told, is told by the relay."""

    def __init__(self, crew: Crew, relay: Relay) -> None:
        self._crew = crew
        self._relay = relay
        self.settings: bytes | None = None
        """The configuration in force, where it is not the one of the start."""

    def choose_leader(self) -> None:
        """Tell whoever is to lead now, if it is another one; and ask it for what it knows."""
        leader = self._crew.leader
        number = None if leader is None else leader.number
        if number == self._relay.leader:
            return
        self._relay.leader = number
        if number is None:
            return
        port = self._relay.ports[number]
        if port.joined:
            self._relay.send(port, ("lead",))
        else:
            # There is nobody whom it could ask.
            port.joined, port.welcomed_by = True, None
            port.kept.clear()
            self._relay.send(port, ("begin", self.settings))
        for other in self._relay.ports.values():
            other.welcomed_by = None if not other.joined else other.welcomed_by
            self.let_join(other)

    def let_join(self, port: Port) -> None:
        """Ask the leader for what a new worker has to know, once the leader knows it itself."""
        leader = None if self._relay.leader is None else self._crew.members.get(self._relay.leader)
        if port.joined or port.welcomed_by is not None or leader is None or leader.phase != "serving":
            return
        port.welcomed_by = leader.number
        port.kept.clear()
        self._relay.send(self._relay.ports[leader.number], ("welcome", port.number))

    def give_snapshot(self, leader: Port, number: int, snapshot: bytes) -> None:
        """The leader has said what it knows: tell the one that joins, and then what was said since."""
        port = self._relay.ports.get(number)
        if port is None or port.joined or port.welcomed_by != leader.number:
            return
        port.joined, port.welcomed_by = True, None
        self._relay.send(port, ("join", snapshot))
        for each in port.kept:
            self._relay.send_frame(port, each)
        port.kept.clear()
