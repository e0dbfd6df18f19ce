"""Lists of models, in the shape of whoever asks."""

from __future__ import annotations

from proxy.simulator.answers import Voice
from proxy.simulator.events import Document
from proxy.simulator.refusals import Reply, json_reply
from proxy.simulator.wires.wire import Call


def models(call: Call, voice: Voice, now: float) -> Reply:
    """`GET /v1/models`, which three providers share; headers tell whose client asks."""
    if "anthropic-version" in call.headers:
        return json_reply(200, _anthropic(voice))
    if "x-goog-api-key" in call.headers:
        return gemini_models(call, voice, now)
    rows: list[Document] = [
        {"id": name, "object": "model", "created": int(now), "owned_by": "simulator"} for name in voice.models
    ]
    if voice.context_window is not None:
        # As vLLM tells it.
        rows = [{**row, "max_model_len": voice.context_window} for row in rows]
    return json_reply(200, {"object": "list", "data": rows})


def _anthropic(voice: Voice) -> Document:
    rows = [
        {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2026-01-01T00:00:00Z",
            "lifecycle": "active",
            "max_input_tokens": voice.context_window,
        }
        for name in voice.models
    ]
    ends = {"first_id": voice.models[0], "last_id": voice.models[-1]} if rows else {"first_id": None, "last_id": None}
    return {"data": rows, "has_more": False, **ends}


def gemini_models(call: Call, voice: Voice, now: float) -> Reply:
    """`GET /v1beta/models`; Google's client may ask for `/v1/models`."""
    rows = [
        {
            "name": f"models/{name}",
            "displayName": name,
            "version": "001",
            "inputTokenLimit": voice.context_window or 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
        for name in voice.models
    ]
    return json_reply(200, {"models": rows})
