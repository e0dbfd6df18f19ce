"""Holdfast, with all features on and one log line per request written to a file."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.cost.peers.peer import ROOT, Launch, Peer, Place, Way

_MODELS = {"straight": "chat", "503": "after-503", "refused": "after-refusal", "cut": "after-cut"}
UPSTREAMS = {"503": "broken", "refused": "gone", "cut": "cut"}
"""Who fails first, by way."""
_MAIN = """\
version: 1
server: {{port: {place.port}, max_concurrent: 10000{workers}}}
state: null
defaults: {{max_concurrent: 10000}}
upstreams:
  good: {{kind: openai, base_url: "http://127.0.0.1:{place.ends.good}/v1", api_key: unused}}
{upstreams}routes:
  chat: {{chain: [good/m, good/n]}}
{routes}"""
_UPSTREAM = """\
  {name}: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: unused, retry: {{attempts: 1}}}}
"""
# Nothing may learn that the first one fails: nginx has no breaker that would.
_ROUTE = """\
  {model}:
    chain: [{name}/m, good/f]
    breaker: {{consecutive: 1000, error_rate: 100%, minimum_requests: 1000000, window: 1s}}
    foresight: {{trend: false}}
    outlier: {{max_ejected: 0}}
"""


def _launch(place: Place, tree: Path = ROOT, before: tuple[str, ...] = ("-m", "proxy")) -> Launch:
    upstreams = "".join(_UPSTREAM.format(name=name, port=place.ends.first(way)) for way, name in UPSTREAMS.items())
    routes = "".join(_ROUTE.format(model=_MODELS[way], name=name) for way, name in UPSTREAMS.items())
    workers = f", workers: {place.workers}" if place.workers > 1 else ""
    text = _MAIN.format(place=place, workers=workers, upstreams=upstreams, routes=routes)
    path = place.write("routes.yaml", text)
    return Launch(
        [sys.executable, *before, "serve", "-c", str(path)],
        {way: Way(place.port, model) for way, model in _MODELS.items()},
        {"PYTHONPATH": str(tree)},
        tree,
    )


PEER = Peer("holdfast", _launch)


def of_tree(tree: Path) -> Peer:
    """Holdfast as it is in another checkout."""
    return Peer("before", partial(_launch, tree=tree))


def under_profile(kind: str, output: Path) -> Peer:
    """Holdfast, watched by a profiler from its own process; see `benchmarks.cost.watched`."""
    before = ("-m", "benchmarks.cost.watched", kind, str(output))
    return Peer("holdfast", partial(_launch, before=before))
