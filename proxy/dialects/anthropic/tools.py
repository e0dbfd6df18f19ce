"""Tools and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from proxy.dialects.anthropic.families import Family
from proxy.dialects.anthropic.names import ToolNames
from proxy.dialects.anthropic.parts import Block, cached, refuse
from proxy.dialects.anthropic.schemas import closed, of_object

_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}


def names_in(tools: object) -> list[str]:
    """The names of all functions among the tools."""
    found = []
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name:
            found.append(name)
    return found


def write_tools(tools: object, names: ToolNames, family: Family) -> list[Block]:
    """The tools; one of Anthropic's own stays as it is. Raises NotCarriedError."""
    if not isinstance(tools, list):
        refuse("tools that are no list", "tools")
    written: dict[str, Block] = {}
    for tool in tools:
        block = _tool(tool, names, family)
        # Of two that have the same name all would be refused.
        written.setdefault(block["name"], block)
    return list(written.values())


def tools_called(called: Iterable[str]) -> list[Block]:
    """Tools of which nothing but the name is known: a conversation in which tools were called has to define some."""
    return [{"name": name, "input_schema": {"type": "object"}} for name in called]


def answer_tool(name: str, schema: object, description: str) -> Block:
    """The tool whose input is the answer. Raises NotCarriedError."""
    root = of_object(schema)
    if root is None:
        refuse("a schema of an answer that is no object", "response_format")
    return {"name": name, "description": description, "input_schema": root}


def write_choice(choice: object, names: ToolNames, *, parallel: bool = True) -> Block | None:
    """The choice among the tools; None where it is the model's own. Raises NotCarriedError."""
    written: Block = {"type": "auto"}
    if isinstance(choice, str) and choice in _CHOICES:
        written = {"type": _CHOICES[choice]}
    elif isinstance(choice, dict) and choice.get("type") == "function" and names_in([choice]):
        written = {"type": "tool", "name": names.sent(names_in([choice])[0])}
    elif choice is not None:
        refuse("this choice among the tools", "tool_choice")
    if not parallel and written["type"] != "none":
        written["disable_parallel_tool_use"] = True
    return None if written == {"type": "auto"} else written


def _tool(tool: object, names: ToolNames, family: Family) -> Block:
    if not isinstance(tool, dict):
        refuse("a tool that is no object", "tools")
    kind, function = tool.get("type", "function"), tool.get("function")
    if isinstance(kind, str) and kind not in ("function", "custom") and isinstance(tool.get("name"), str):
        return dict(tool)
    if kind != "function" or not isinstance(function, dict) or not names_in([tool]):
        refuse("a tool that is no function with a name", "tools")
    strict = function.get("strict") is True and family.structured
    schema = of_object(function.get("parameters"))
    if schema is None:
        refuse("a function whose arguments are no object", "tools")
    written: dict[str, Any] = {"name": names.sent(function["name"])}
    if isinstance(description := function.get("description"), str) and description:
        written["description"] = description
    written["input_schema"] = closed(schema) if strict else schema
    if strict:
        written["strict"] = True
    return cached(written, (tool if "cache_control" in tool else function).get("cache_control"))
