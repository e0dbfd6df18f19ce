"""LiteLLM, from PyPI, as its page on production has it: uvloop and httptools, no database, errors only in its log."""

from __future__ import annotations

import json

from benchmarks.cost.peers.peer import KEY, Launch, Peer, Place, Way, from_pypi, in_environment, pip_says

_MODELS = {"straight": "chat", "503": "after-503", "refused": "after-refusal", "cut": "after-cut"}


def _launch(place: Place) -> Launch:
    def model(name: str, port: int) -> dict[str, object]:
        base = f"http://127.0.0.1:{port}/v1"
        # A model with a known price: an unknown one costs a lookup and a warning for each request.
        return {
            "model_name": name,
            "litellm_params": {"model": "openai/gpt-4o", "api_base": base, "api_key": "unused", "max_retries": 0},
        }

    document = {
        "model_list": [model(_MODELS[way], first) for way, _, first in place.each()],
        "litellm_settings": {"num_retries": 0, "request_timeout": 120, "telemetry": False},
        "router_settings": {
            "fallbacks": [{name: ["chat"]} for way, name in _MODELS.items() if way != "straight"],
            "num_retries": 0,
            "disable_cooldowns": True,
        },
        "general_settings": {"disable_spend_logs": True},
    }
    path = place.write("litellm.yaml", json.dumps(document))
    command = [in_environment(place.installed, "litellm"), "--config", str(path), "--host", "127.0.0.1"]
    return Launch(
        [*command, "--port", str(place.port), "--num_workers", str(place.workers)],
        {way: Way(place.port, name) for way, name in _MODELS.items()},
        {"LITELLM_MASTER_KEY": KEY, "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"},
    )


PEER = Peer(
    "litellm",
    _launch,
    from_pypi("litellm", "litellm[proxy]", "uvloop", "httptools"),
    pip_says("litellm", "litellm"),
    {
        "busy": "10,000 chunks/s are seven times what it can",
        "tokens": "20,000 tokens/s are a dozen times what it can",
        "streams": "1,500 of 2,000 streams at once do not begin",
        "open": "1,000 requests/s are ten times what it can",
    },
)
