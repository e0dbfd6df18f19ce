"""HAProxy, with `retry-on` and redispatch for the failovers."""

from __future__ import annotations

from benchmarks.cost.peers.peer import Launch, Peer, Place, by_port, from_debian, program, says

# Without `option http-no-delay` it would hold each chunk back for up to 80 ms.
_MAIN = """\
global
  nbthread {workers}
  maxconn 8000
  tune.bufsize 32768
defaults
  mode http
  option http-no-delay
  option http-keep-alive
  timeout connect 3s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  http-reuse always
"""
_WAY = """\
listen way{port}
  bind 127.0.0.1:{port} backlog 4096
  server first 127.0.0.1:{first} pool-max-conn 4096
"""
# A request is sent again only if all of it is there.
_SECOND = """\
  server second 127.0.0.1:{port} pool-max-conn 4096
  option http-buffer-request
  balance first
  retries 2
  option redispatch 1
  retry-on conn-failure empty-response junk-response 503
"""


def _launch(place: Place) -> Launch:
    text = _MAIN.format(workers=place.workers)
    for way, port, first in place.each():
        text += _WAY.format(port=port, first=first)
        if way != "straight":
            text += _SECOND.format(port=place.ends.good)
    path = place.write("haproxy.cfg", text)
    return Launch([program("haproxy"), "-db", "-f", str(path)], by_port(place))


PEER = Peer(
    "haproxy",
    _launch,
    from_debian("haproxy", "haproxy"),
    says("haproxy", "-v"),
    {"cut-stream": "it passes on the head of a stream at once, and then nobody else can be asked"},
)
