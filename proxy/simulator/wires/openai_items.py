"""What a Responses request asks: its items, its tools, and what OpenAI refuses of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from proxy.simulator.events import dumps
from proxy.simulator.question import BadRequestError, member, objects
from proxy.simulator.wires.openai_chat import forced_of

_FIELDS = frozenset(
    [
        "access_programs",
        "background",
        "context_management",
        "conversation",
        "image",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
_MOVED = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens", "messages": "input",
          "response_format": "text.format"}  # fmt: skip
_ROLES = {"user", "assistant", "system", "developer"}
_PARTS = {
    "assistant": {"output_text", "refusal"},
    "user": {"input_text", "input_image", "input_file"},
}


def check_items(asked: Mapping[str, Any]) -> None:
    """Raise BadRequestError for a request that OpenAI refuses."""
    for name in asked:
        if name in _MOVED:
            _refuse(
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{_MOVED[name]}'. "
                "Try again with the new parameter.",
                name,
            )
        if name not in _FIELDS:
            _refuse(f"Unknown parameter: '{name}'.", name)
    if asked.get("previous_response_id") is not None:
        _refuse(f"Previous response with id '{asked['previous_response_id']}' not found.", "previous_response_id")
    given = asked.get("input")
    if given is None:
        _refuse("Missing required parameter: 'input'.", "input")
    if not isinstance(given, (str, list)):
        _refuse("Invalid type for 'input': expected a string or an array of items.", "input")
    for place, item in enumerate(given if isinstance(given, list) else ()):
        _check_item(item, f"input[{place}]")
    _check_pairs(objects(given))
    for place, tool in enumerate(objects(asked.get("tools"))):
        if tool.get("type") == "function" and not isinstance(tool.get("name"), str):
            _refuse(f"Missing required parameter: 'tools[{place}].name'.", f"tools[{place}].name")


def _refuse(message: str, param: str | None) -> NoReturn:
    raise BadRequestError(message, param)


def _check_item(item: object, where: str) -> None:
    if not isinstance(item, dict):
        _refuse(f"Invalid type for '{where}': expected an object.", where)
    kind = item.get("type", "message")
    if kind == "message":
        _check_message(item, where)
    wanted = {"function_call": ("call_id", "name", "arguments"), "function_call_output": ("call_id", "output")}
    for name in wanted.get(kind, ()):
        if name not in item:
            _refuse(f"Missing required parameter: '{where}.{name}'.", f"{where}.{name}")
    if kind == "function_call" and not isinstance(item["arguments"], str):
        _refuse(f"Invalid type for '{where}.arguments': expected a string.", f"{where}.arguments")


def _check_message(item: Mapping[str, Any], where: str) -> None:
    role = item.get("role")
    if role not in _ROLES:
        _refuse(f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', 'user'.", where)
    kinds = _PARTS["assistant" if role == "assistant" else "user"]
    for place, part in enumerate(objects(item.get("content"))):
        if part.get("type") not in kinds:
            _refuse(
                f"Invalid value: '{part.get('type')}'. Supported values are: "
                f"{', '.join(repr(kind) for kind in sorted(kinds))}.",
                f"{where}.content[{place}]",
            )


def _check_pairs(items: Sequence[Mapping[str, Any]]) -> None:
    called = [item["call_id"] for item in items if item.get("type") == "function_call"]
    answered = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    for mark in answered:
        if mark not in called:
            _refuse(f"No tool call found for function call output with call_id {mark}.", "input")
    for mark in called:
        if mark not in answered:
            _refuse(f"No tool output found for function call {mark}.", "input")


def turns_of(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The turns of a request, readable or not."""
    told = fields.get("instructions")
    turns: list[Mapping[str, Any]] = [{"role": "system", "content": told}] if isinstance(told, str) else []
    given = fields.get("input")
    return [*turns, *([{"role": "user", "content": given}] if isinstance(given, str) else _turns(objects(given)))]


def _turns(items: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            role = item.get("role")
            yield {"role": "system" if role == "developer" else role, "content": item.get("content")}
        elif kind == "function_call":
            yield {"role": "assistant", "content": ""}
        elif kind == "function_call_output":
            output = item.get("output")
            yield {"role": "tool", "content": output if isinstance(output, str) else dumps(output)}


def images_of(asked: Mapping[str, Any]) -> int:
    """How many images are shown."""
    parts = [part for item in objects(asked.get("input")) for part in objects(item.get("content"))]
    return sum(part.get("type") == "input_image" for part in parts)


def functions(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The offered functions."""
    tools = [one for one in objects(asked.get("tools")) if one.get("type") == "function"]
    return [{"name": one["name"], "parameters": one.get("parameters")} for one in tools]


def forced_tools(asked: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tools that must be called. Raises BadRequestError."""
    named = member(asked, "tool_choice", "type") == "function"
    wanted = member(asked, "tool_choice", "name")
    return forced_of(asked, tools, wanted=wanted, named=named, place="tool_choice.name")
