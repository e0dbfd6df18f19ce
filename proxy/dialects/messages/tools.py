"""The tools of a Messages request as chat's functions, and which of them are to be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import bad_request
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.messages.names import function_name
from proxy.dialects.messages.shapes import Tool, decoded, given, without_nulls
from proxy.dialects.raw_json import NULL

_OWN: Final = frozenset({None, "custom", "function"})
"""Types of tools that the client describes itself."""
_RUN_BY_CLIENTS: Final = ("bash_", "text_editor_", "computer_", "memory_", "browser_")
"""Types of tools that the client runs, but that only Anthropic's models know how to call."""
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')


class _Choice(Struct, gc=False):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


def chat_tools(fields: Mapping[str, Raw], *, extensions: bool) -> dict[str, Any]:
    """The chat fields about tools: `tools`, `tool_choice`, `parallel_tool_calls`.

    Tools that run on Anthropic's servers are left out (`dropped_tools`), unless they are the ones to be called. Raises
    NotCarriedError, and ClientError (400) that names the place.
    """
    tools = _tools(fields)
    for tool in tools:
        if (tool.type or "").startswith(_RUN_BY_CLIENTS):
            raise NotCarriedError(f"the tool {(tool.type or '')[:60]!r} is known to Anthropic's models alone", "tools")
    functions = [_function(tool, index, extensions) for index, tool in enumerate(tools) if tool.type in _OWN]
    chat: dict[str, Any] = {"tools": functions} if functions else {}
    raw = given(fields, "tool_choice")
    if raw is None:
        return chat
    choice = decoded(raw, _Choice, "tool_choice")
    chosen = _chosen(choice, {tool.name for tool in tools if tool.type in _OWN})
    # Providers refuse a choice where there is nothing to be chosen from.
    if functions:
        chat["tool_choice"] = chosen
        if choice.disable_parallel_tool_use and choice.type != "none":
            chat["parallel_tool_calls"] = False
    return chat


def dropped_tools(fields: Mapping[str, Raw]) -> tuple[str, ...]:
    """The types of the tools that no chat request can have: those that run on Anthropic's servers."""
    return tuple(tool.type for tool in _tools(fields) if tool.type is not None and tool.type not in _OWN)


def _tools(fields: Mapping[str, Raw]) -> list[Tool]:
    raw = given(fields, "tools")
    return [] if raw is None else decoded(raw, list[Tool], "tools")


def _function(tool: Tool, index: int, extensions: bool) -> dict[str, Any]:
    if not tool.name:
        raise bad_request(f"tools.{index}.name: Field required", param="tools")
    function = {
        "name": function_name(tool.name),
        "description": tool.description,
        "parameters": _NO_SCHEMA if tool.input_schema == NULL else tool.input_schema,
        "strict": tool.strict,
    }
    its = {"type": "function", "function": without_nulls(function)}
    return {**its, "cache_control": tool.cache_control} if extensions and tool.cache_control != NULL else its


def _chosen(choice: _Choice, names: set[str | None]) -> object:
    if choice.type in {"auto", "none"}:
        return choice.type
    if choice.type == "any" and names:
        return "required"
    if choice.type == "tool" and choice.name in names:
        return {"type": "function", "function": {"name": function_name(choice.name or "")}}
    if choice.type in {"any", "tool"}:
        raise NotCarriedError("the tool that must be called is not one that this model can be given", "tool_choice")
    raise bad_request("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'", param="tool_choice")


def is_strict(schema: Raw) -> bool:
    """Whether OpenAI takes a schema for strict output: closed objects whose properties are all required."""
    try:
        return _closed(msgspec.json.decode(schema))
    except (ValueError, RecursionError):
        return False


def _closed(schema: object) -> bool:
    if isinstance(schema, list):
        return all(_closed(each) for each in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict) or schema.get("type") == "object":
        names = set(properties) if isinstance(properties, dict) else set()
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if {name for name in required if isinstance(name, str)} != names:
            return False
    return all(_closed(each) for each in schema.values())
