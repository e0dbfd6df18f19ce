"""What the members of Messages' answers mean on the chat wire, for whole answers and for streams alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.core.plain import count
from proxy.dialects.chat_events import usage_of

_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "compaction": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
    # The upstream failed: these are not of Anthropic itself, but of servers that speak its language.
    "error": "error",
    "malformed_model_output": "malformed_response",
    "malformed_tool_use": "malformed_function_call",
}


def finish_reason(stop_reason: str, *, called: bool, answered: bool) -> str:
    """The finish reason. `called` says that tools were called, `answered` that one was, whose input is the answer."""
    reason = _REASONS.get(stop_reason, "stop")
    if called:
        return "tool_calls" if reason == "stop" else reason
    return "stop" if answered and reason == "tool_calls" else reason


def refusal_in(details: object) -> str | None:
    """What is told of a refusal."""
    told = details.get("explanation") if isinstance(details, dict) else None
    return told if isinstance(told, str) and told else None


def chat_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The usage. Messages counts what was read from the cache and written to it apart; chat as parts of the prompt."""
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    details = usage.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, dict) else None
    return usage_of(
        count(usage.get("input_tokens")) + count(read) + count(written),
        count(usage.get("output_tokens")),
        cached=None if read is None else count(read),
        cache_write=None if written is None else count(written),
        thought=None if thought is None else count(thought),
    )
