"""The proxies under measurement: how each is found, installed, configured and started.

All of them forward to the mock provider of this run, and are told to do what they have to in order to be a fair
comparison: keep connections alive, pass each chunk on at once, and try a second upstream when the first one fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """Where the ends listen; `gone` is closed."""

    good: int
    broken: int
    gone: int
    proxy: int
    """The first of three: straight to the good one, by way of the broken one, by way of the closed one."""


@dataclass
class Peer:
    """A proxy that runs. Each way is a port and a model name: straight, after a 503, after a refused connection."""

    name: str
    process: subprocess.Popen[bytes]
    ways: dict[str, tuple[int, str]]

    def stop(self) -> None:
        """End it by its own id."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


_NGINX = """\
worker_processes 1;
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
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_read_timeout 300s;
  proxy_next_upstream error timeout http_503 non_idempotent;
  upstream good {{ server 127.0.0.1:{p.good}; keepalive 1024; keepalive_requests 1000000; }}
  upstream broken {{ server 127.0.0.1:{p.broken} max_fails=0; server 127.0.0.1:{p.good} backup max_fails=0;
    keepalive 256; keepalive_requests 1000000; }}
  upstream gone {{ server 127.0.0.1:{p.gone} max_fails=0; server 127.0.0.1:{p.good} backup max_fails=0;
    keepalive 256; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{p.proxy} backlog=4096; location / {{ proxy_pass http://good; }} }}
  server {{ listen 127.0.0.1:{second} backlog=4096; location / {{ proxy_pass http://broken; }} }}
  server {{ listen 127.0.0.1:{third} backlog=4096; location / {{ proxy_pass http://gone; }} }}
}}
"""
_HAPROXY = """\
global
  nbthread 1
  maxconn 20000
defaults
  mode http
  option http-no-delay
  timeout connect 3s
  timeout client 300s
  timeout server 300s
  retries 1
  option redispatch 1
  retry-on conn-failure 503
  http-reuse always
listen good
  bind 127.0.0.1:{p.proxy}
  server good 127.0.0.1:{p.good}
listen broken
  bind 127.0.0.1:{second}
  server broken 127.0.0.1:{p.broken}
  server good 127.0.0.1:{p.good} backup
listen gone
  bind 127.0.0.1:{third}
  server gone 127.0.0.1:{p.gone}
  server good 127.0.0.1:{p.good} backup
"""
_HOLDFAST = """\
version: 1
server: {{port: {p.proxy}, max_concurrent: 10000}}
upstreams:
  good: {{kind: openai, base_url: "http://127.0.0.1:{p.good}/v1", api_key: unused}}
  broken: {{kind: openai, base_url: "http://127.0.0.1:{p.broken}/v1", api_key: unused, retry: {{attempts: 1}}}}
  gone: {{kind: openai, base_url: "http://127.0.0.1:{p.gone}/v1", api_key: unused, retry: {{attempts: 1}}}}
state: null
defaults: {{max_concurrent: 10000}}
routes:
  chat: {{chain: [good/m, good/n]}}
  after-503:
    chain: [broken/m, good/m]
    breaker: {{consecutive: 1000, error_rate: 100%, minimum_requests: 1000000, window: 1s}}
    foresight: {{trend: false}}
    outlier: {{max_ejected: 0}}
  after-refusal:
    chain: [gone/m, good/m]
    breaker: {{consecutive: 1000, error_rate: 100%, minimum_requests: 1000000, window: 1s}}
    foresight: {{trend: false}}
    outlier: {{max_ejected: 0}}
"""


def nginx(folder: Path, ports: Ports, pin: list[str]) -> Peer | None:
    """nginx, with `proxy_next_upstream` for the failovers."""
    return _start("nginx", _NGINX, folder, ports, pin, lambda path: ["-p", str(folder), "-c", str(path)])


def haproxy(folder: Path, ports: Ports, pin: list[str]) -> Peer | None:
    """HAProxy, with redispatch for the failovers."""
    return _start("haproxy", _HAPROXY, folder, ports, pin, lambda path: ["-db", "-f", str(path)])


def holdfast(folder: Path, ports: Ports, pin: list[str], tree: Path = ROOT, name: str = "holdfast") -> Peer:
    """Holdfast as it is in a tree, with all features on and one log line per request written to a file."""
    path = folder / "routes.yaml"
    path.write_text(_HOLDFAST.format(p=ports))
    command = [*pin, sys.executable, "-m", "proxy", "serve", "-c", str(path)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}
        )
    models = {"straight": "chat", "503": "after-503", "refused": "after-refusal"}
    return Peer(name, process, {way: (ports.proxy, model) for way, model in models.items()})


def _start(
    name: str, template: str, folder: Path, ports: Ports, pin: list[str], arguments: Callable[[Path], list[str]]
) -> Peer | None:
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        print(f"{name} is not installed: it is left out (--install installs it)", file=sys.stderr)
        return None
    path = folder / f"{name}.conf"
    path.write_text(template.format(p=ports, second=ports.proxy + 1, third=ports.proxy + 2))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*pin, program, *arguments(path)], stdout=log, stderr=log, cwd=folder)
    ways = ("straight", "503", "refused")
    return Peer(name, process, {way: (ports.proxy + number, "chat") for number, way in enumerate(ways)})


def install() -> None:
    """Install those peers that a Debian machine has packages of."""
    missing = [package for package, name in (("nginx-light", "nginx"), ("haproxy", "haproxy")) if not _found(name)]
    if missing:
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=True)


def _found(name: str) -> bool:
    return bool(shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin"))
