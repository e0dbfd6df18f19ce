"""The proxies under measurement, each in a file of its own.

All of them forward to the mock provider of this run, and are told to do what they have to in order to be a fair
comparison: keep connections alive, pass each chunk on at once, and try a second upstream when the first one fails.
"""

from __future__ import annotations

from benchmarks.cost.peers import direct, envoy, haproxy, holdfast, litellm, nginx, portkey
from benchmarks.cost.peers.peer import Peer

OTHERS: dict[str, Peer] = {
    peer.name: peer for peer in (nginx.PEER, haproxy.PEER, envoy.PEER, portkey.PEER, litellm.PEER)
}
DIRECT = direct.PEER
HOLDFAST = holdfast.PEER
