"""nginx, with `proxy_next_upstream` for the failovers. It is what the others are compared with."""

from __future__ import annotations

from benchmarks.cost.peers.peer import Launch, Peer, Place, by_port, from_debian, program, says

_MAIN = """\
worker_processes {workers};
error_log stderr crit;
pid nginx.pid;
daemon off;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fast; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  client_max_body_size 16m;
  client_body_buffer_size 2m;
  keepalive_requests 1000000;
  keepalive_timeout 300s;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_read_timeout 300s;
  proxy_next_upstream error timeout http_503 non_idempotent;
{servers}}}
"""
_WAY = """\
  upstream way{port} {{ {servers} keepalive 1024; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096{reuse}; location / {{ proxy_pass http://way{port}; }} }}
"""


def _launch(place: Place) -> Launch:
    reuse = " reuseport" if place.workers > 1 else ""
    servers = ""
    for way, port, first in place.each():
        chain = f"server 127.0.0.1:{first} max_fails=0;"
        if way != "straight":
            chain += f" server 127.0.0.1:{place.ends.good} backup max_fails=0;"
        servers += _WAY.format(port=port, servers=chain, reuse=reuse)
    path = place.write("nginx.conf", _MAIN.format(workers=place.workers, servers=servers))
    return Launch([program("nginx"), "-p", str(place.folder), "-c", str(path)], by_port(place))


PEER = Peer(
    "nginx",
    _launch,
    from_debian("nginx-light", "nginx"),
    says("nginx", "-v"),
    {"cut-stream": "it passes on the head of a stream at once, and then nobody else can be asked"},
)
