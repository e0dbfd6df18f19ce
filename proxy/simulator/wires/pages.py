"""What servers tell about themselves: Ollama, llama.cpp and vLLM."""

from __future__ import annotations

from proxy.simulator.answers import Voice
from proxy.simulator.events import Document
from proxy.simulator.refusals import Reply, json_reply
from proxy.simulator.wires.ollama import told_time
from proxy.simulator.wires.wire import Call

_DEFAULT_WINDOW = 4096
_SIZE = 4_000_000_000
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "simulated",
    "families": ["simulated"],
    "parameter_size": "7B",
    "quantization_level": "Q4_K_M",
}


def ollama_tags(call: Call, voice: Voice, now: float) -> Reply:
    """The models that are there."""
    return json_reply(
        200, {"models": [{**_ollama_model(name), "modified_at": told_time(now)} for name in voice.models]}
    )


def ollama_loaded(call: Call, voice: Voice, now: float) -> Reply:
    """The models that are loaded: all of them."""
    loaded = {"expires_at": told_time(now + 300), "size_vram": _SIZE, "context_length": _window(voice)}
    return json_reply(200, {"models": [{**_ollama_model(name), **loaded} for name in voice.models]})


def _ollama_model(name: str) -> Document:
    return {"name": name, "model": name, "size": _SIZE, "digest": "0" * 64, "details": _DETAILS}


def ollama_version(call: Call, voice: Voice, now: float) -> Reply:
    """The version."""
    return json_reply(200, {"version": "0.32.9"})


def ollama_show(call: Call, voice: Voice, now: float) -> Reply:
    """What a model can."""
    name = call.fields.get("model") or call.fields.get("name")
    if not name:
        return json_reply(400, {"error": "model is required"})
    if name not in voice.models:
        return json_reply(404, {"error": f"model '{name}' not found"})
    shown: Document = {
        "modelfile": "",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": _DETAILS,
        "model_info": {"general.architecture": "simulated", "simulated.context_length": _window(voice)},
        "capabilities": ["completion", "tools", "vision", "thinking"],
        "modified_at": told_time(now),
    }
    return json_reply(200, shown)


def ollama_generate(call: Call, voice: Voice, now: float) -> Reply:
    """Loading and unloading, which is all that is played of it."""
    name = call.fields.get("model")
    if not name or call.fields.get("prompt"):
        return json_reply(400, {"error": "this upstream is simulated and only loads models here; use /api/chat"})
    reason = "unload" if call.fields.get("keep_alive") == 0 else "load"
    head = {"model": name, "created_at": told_time(now), "response": ""}
    return json_reply(200, {**head, "done": True, "done_reason": reason})


def llama_health(call: Call, voice: Voice, now: float) -> Reply:
    """As llama.cpp says it."""
    return json_reply(200, {"status": "ok"})


def llama_props(call: Call, voice: Voice, now: float) -> Reply:
    """What llama.cpp was started with."""
    settings = {"n_ctx": _window(voice), "params": {}, "is_processing": False}
    path = {"model_path": f"/models/{voice.models[0] if voice.models else 'none'}.gguf", "chat_template": ""}
    return json_reply(200, {"default_generation_settings": settings, "total_slots": 1, **path})


def llama_slots(call: Call, voice: Voice, now: float) -> Reply:
    """What llama.cpp is doing."""
    return json_reply(200, [{"id": 0, "n_ctx": _window(voice), "is_processing": False}])


def vllm_version(call: Call, voice: Voice, now: float) -> Reply:
    """The version."""
    return json_reply(200, {"version": "0.33.0"})


def _window(voice: Voice) -> int:
    return voice.context_window or _DEFAULT_WINDOW
