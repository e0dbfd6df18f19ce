"""What Anthropic refuses in a request, in its own words; the messages are in a file of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxy.simulator.question import member, objects
from proxy.simulator.wires.anthropic_messages import blocks_of, check_messages, check_pairs, check_system, refuse
from proxy.simulator.wires.claude import takes_forced_tools, takes_prefill, takes_sampling, takes_thinking_budget

_FIELDS = frozenset(
    [
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user_profile_id",
        "workspace_id",
    ]
)
_SAMPLING = ("temperature", "top_p", "top_k")
_WITHOUT_SAMPLING = "2026-10-21"
"""The first version of the API that takes no sampling parameter of any model."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


def check(asked: Mapping[str, Any], *, version: str = "", counts_only: bool = False) -> None:
    """Raise BadRequestError for a request that Anthropic refuses, which the version of its API decides too.

    With `counts_only` nothing is answered, and no cap on the answer is wanted.
    """
    for name in asked:
        if name not in _FIELDS:
            refuse(f"{name}: Extra inputs are not permitted", name)
    for name in ("model", "messages", *(() if counts_only else ("max_tokens",))):
        if asked.get(name) is None:
            refuse(f"{name}: Field required", name)
    if not isinstance(asked["model"], str):
        refuse("model: Input should be a valid string", "model")
    _check_numbers(asked)
    for name in _SAMPLING if version >= _WITHOUT_SAMPLING else ():
        if asked.get(name) is not None:
            refuse(f"`{name}` is not supported in version {version} of the API.", name)
    check_system(asked.get("system"))
    check_messages(asked["messages"], asked["model"])
    check_pairs(asked["messages"])
    _check_tools(asked)
    _check_thinking(asked)
    _check_end(asked)
    _check_rest(asked)


def _check_numbers(asked: Mapping[str, Any]) -> None:
    cap = asked.get("max_tokens", 1)
    if not isinstance(cap, int) or isinstance(cap, bool):
        refuse("max_tokens: Input should be a valid integer", "max_tokens")
    if cap < 1:
        refuse("max_tokens: Input should be greater than or equal to 1", "max_tokens")
    for name in _SAMPLING:
        value = asked.get(name)
        if value is None:
            continue
        if not takes_sampling(asked["model"]):
            refuse(f"`{name}` is deprecated for this model.", name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            refuse(f"{name}: Input should be a valid number", name)
        if name != "top_k" and not 0 <= value <= 1:
            refuse(f"{name}: range: 0..1", name)


def _check_tools(asked: Mapping[str, Any]) -> None:
    names = []
    for place, tool in enumerate(objects(asked.get("tools"))):
        if tool.get("type") not in {None, "custom"}:
            continue
        name = tool.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            refuse(f"tools.{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'", "tools")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            refuse(f"tools.{place}.custom.input_schema: Field required", "tools")
        if schema.get("type") != "object":
            refuse(f"tools.{place}.custom.input_schema.type: Input should be 'object'", "tools")
        names.append(name)
    if len(set(names)) < len(names):
        refuse("tools: Tool names must be unique.", "tools")
    _check_choice(asked, names)


def _check_choice(asked: Mapping[str, Any], names: Sequence[str]) -> None:
    choice = asked.get("tool_choice")
    if choice is None:
        return
    kind = member(choice, "type")
    if kind not in {"auto", "any", "tool", "none"}:
        refuse("tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'")
    if not asked.get("tools"):
        refuse("tool_choice: tool_choice may only be specified while providing tools", "tool_choice")
    if kind == "tool" and choice.get("name") not in names:
        refuse(f"Tool '{choice.get('name')}' not found in provided tools", "tool_choice")
    if kind == "none" and "disable_parallel_tool_use" in choice:
        refuse("tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted", "tool_choice")
    if kind in {"any", "tool"} and not takes_forced_tools(asked["model"]):
        refuse(f"tool_choice: `{kind}` is not supported for this model.", "tool_choice")
    if kind in {"any", "tool"} and member(asked, "thinking", "type") == "enabled":
        refuse("Thinking may not be enabled when tool_choice forces tool use.", "tool_choice")


def _check_thinking(asked: Mapping[str, Any]) -> None:
    if member(asked, "thinking", "type") != "enabled":
        return
    budget = member(asked, "thinking", "budget_tokens")
    if not takes_thinking_budget(asked["model"]):
        refuse(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.',
            "thinking",
        )
    if not isinstance(budget, int) or budget < 1024:
        refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024", "thinking")
    if budget >= asked.get("max_tokens", budget + 1):
        refuse("`max_tokens` must be greater than `thinking.budget_tokens`.", "max_tokens")
    if asked.get("temperature") not in {None, 1}:
        refuse("`temperature` may only be set to 1 when thinking is enabled.", "temperature")
    said = [place for place, one in enumerate(asked["messages"]) if one["role"] == "assistant"]
    last = blocks_of(asked["messages"][said[-1]].get("content")) if said else []
    kinds = [block.get("type") for block in last]
    unfinished = said and (said[-1] == len(asked["messages"]) - 1 or "tool_use" in kinds)
    if unfinished and kinds and kinds[0] not in {"thinking", "redacted_thinking"}:
        refuse(
            f"messages.{said[-1]}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. "
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
            "messages",
        )


def _check_end(asked: Mapping[str, Any]) -> None:
    last = asked["messages"][-1]
    if last["role"] != "assistant":
        return
    if not takes_prefill(asked["model"]):
        refuse(_PREFILL, "messages")
    blocks = blocks_of(last["content"])
    text = blocks[-1].get("text") if blocks else None
    if isinstance(text, str) and text != text.rstrip():
        refuse("messages: final assistant content cannot end with trailing whitespace", "messages")


def _check_rest(asked: Mapping[str, Any]) -> None:
    for stop in asked.get("stop_sequences") or ():
        if not isinstance(stop, str) or not stop.strip():
            refuse("stop_sequences: each stop sequence must contain non-whitespace", "stop_sequences")
    marked = sum("cache_control" in block for block in _all_blocks(asked))
    if marked > 4:
        refuse(f"A maximum of 4 blocks with cache_control may be provided. Found {marked}.")
    _check_schema(member(asked, "output_config", "format", "schema"), 0)


def _all_blocks(asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from objects(asked.get("tools"))
    yield from objects(asked.get("system"))
    for message in asked["messages"]:
        yield from objects(message.get("content"))


def _check_schema(schema: object, depth: int) -> None:
    if isinstance(schema, list) and depth < 64:
        for one in schema:
            _check_schema(one, depth + 1)
    if not isinstance(schema, dict) or depth >= 64:
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        refuse("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for name in ("items", "anyOf", "allOf", "oneOf"):
        _check_schema(schema.get(name), depth + 1)
    for name in ("properties", "$defs"):
        inner = schema.get(name)
        _check_schema(list(inner.values()) if isinstance(inner, dict) else None, depth + 1)
