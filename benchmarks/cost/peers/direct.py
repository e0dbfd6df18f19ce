"""No proxy at all: clients ask the mock provider. What others add to its latency is what they cost."""

from __future__ import annotations

from benchmarks.cost.peers.peer import WAYS, Launch, Peer, Place, Way


def _launch(place: Place) -> Launch:
    return Launch([], dict.fromkeys(WAYS, Way(place.ends.good)))


PEER = Peer("direct", _launch)
