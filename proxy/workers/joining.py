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
        self.reload_wanted = False
        """Whether nobody has said yet that the configuration was read again."""
        self._welcomes = 0

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
            port.take_kept()
            self._relay.send(port, ("begin", self.settings))
        if self.reload_wanted:
            # The one before may not have heard of it, or not have come to an end with it.
            self._relay.send(port, ("reload",))
        for other in self._relay.ports.values():
            other.welcomed_by = None if not other.joined else other.welcomed_by
            self.let_join(other)

    def let_join(self, port: Port) -> None:
        """Ask the leader for what a new worker has to know, once the leader knows it itself."""
        leader = None if self._relay.leader is None else self._crew.members.get(self._relay.leader)
        if port.joined or port.welcomed_by is not None or leader is None or leader.phase != "serving":
            return
        # Its number would not do: that of one which died while it joined is the next one's, from which other things
        # have been kept.
        self._welcomes += 1
        port.welcomed_by, port.welcome = leader.number, self._welcomes
        port.take_kept()
        self._relay.send(self._relay.ports[leader.number], ("welcome", port.welcome))

    def give_snapshot(self, welcome: int, snapshot: bytes) -> None:
        """The leader has said what it knows: tell the one that joins, and then what was said since."""
        for port in self._relay.ports.values():
            if port.welcome == welcome and port.welcomed_by is not None and not port.joined:
                port.joined, port.welcomed_by = True, None
                self._relay.send(port, ("join", snapshot))
                self._relay.send_frame(port, port.take_kept())

    def reload(self) -> None:
        """Have the leader read the configuration again, or whoever leads after it, until one says that it has."""
        self.reload_wanted = True
        leader = None if self._relay.leader is None else self._relay.ports.get(self._relay.leader)
        if leader is not None:
            self._relay.send(leader, ("reload",))
