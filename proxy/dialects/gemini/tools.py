"""The tools of a chat request, as Gemini wants them declared, and the names by which both sides call them."""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.schema import adapted
from proxy.dialects.spelling import Spelling

_LONGEST_NAME: Final = 128
_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_FIRST: Final = re.compile(r"[A-Za-z_]")
_SAYS_SOMETHING: Final = ("properties", "additionalProperties", "$ref", "anyOf", "oneOf")
"""Keywords of which one is in the schema of any function that takes something."""
_MODES: Final = {"none": "NONE", "auto": "AUTO", "required": "ANY", "any": "ANY"}


class Names(Spelling):
    """The names of one request's tools."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_LONGEST_NAME, forbidden=_FORBIDDEN, first=_FIRST)


def declared(tools: Any, names: Names) -> list[dict[str, Any]]:
    """The `tools` of the request; empty if there are none. Raises NotCarriedError for tools that are no functions."""
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise NotCarriedError("'tools' must be an array.", "tools")
    declarations = [_declaration(tool, names) for tool in tools]
    return [{"functionDeclarations": declarations}] if declarations else []


def _declaration(tool: Any, names: Names) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise NotCarriedError("Only tools that are functions with a name can be carried over to Gemini.", "tools")
    declaration: dict[str, Any] = {"name": names.sent(function["name"])}
    if isinstance(function.get("description"), str):
        declaration["description"] = function["description"]
    schema = adapted(function.get("parameters"))
    if isinstance(schema, dict) and any(schema.get(name) for name in _SAYS_SOMETHING):
        declaration["parametersJsonSchema"] = schema
    return declaration


def chosen(choice: Any, names: Names) -> dict[str, Any] | None:
    """The `toolConfig` for a `tool_choice`; None if the model is as free as it is unless told otherwise."""
    if choice is None or choice == "auto":
        return None
    if isinstance(choice, str) and choice in _MODES:
        return _config(_MODES[choice])
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function" and (name := _name(choice)) is not None:
        return _config("ANY", [names.sent(name)])
    if kind == "allowed_tools" and isinstance(allowed := choice.get("allowed_tools"), dict):
        tools = allowed.get("tools")
        listed = [_name(tool) for tool in tools] if isinstance(tools, list) else [None]
        if listed and None not in listed:
            # Only two modes know names: one in which a tool must be called, and one in which it may be.
            mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
            return _config(mode, [names.sent(name) for name in listed if name is not None])
    raise NotCarriedError("This 'tool_choice' cannot be carried over to Gemini.", "tool_choice")


def _config(mode: str, allowed: list[str] | None = None) -> dict[str, Any]:
    config: dict[str, Any] = {"mode": mode}
    if allowed:
        config["allowedFunctionNames"] = allowed
    return {"functionCallingConfig": config}


def _name(tool: Any) -> str | None:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None
