"""The tools of a chat request as Bedrock's `toolConfig`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy.dialects.bedrock.content import Blocks
from proxy.dialects.conversation import Function, Toolbox
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.spelling import Spelling

_ANY_OBJECT: Final = Raw(b'{"type":"object"}')
_OBJECT: Final = Raw(b'"object"')
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def tool_config(toolbox: Toolbox, called: Iterable[str], names: Spelling, blocks: Blocks) -> dict[str, Any] | None:
    """The tools and what is wanted of them; None if there are none.

    `called` are the tools that the history speaks of, as sent: a history with calls is refused without any tools, so
    they stay even where none may be called, which Bedrock has no word for.
    """
    history = list(called)
    if toolbox.choice.mode == "none" and not history:
        return None
    tools: list[dict[str, Any]] = []
    for tool in toolbox.tools:
        if (function := tool.function) is not None:
            tools.append({"toolSpec": _specification(function, names)})
            tools += blocks.cache_point(tool.cache_control)
    if not tools:
        tools = [{"toolSpec": {"name": name, "inputSchema": {"json": _ANY_OBJECT}}} for name in history]
    if not tools:
        return None
    if toolbox.choice.mode == "named":
        return {"tools": tools, "toolChoice": {"tool": {"name": names.sent(toolbox.choice.name)}}}
    return {"tools": tools, "toolChoice": {"any": {}}} if toolbox.choice.mode == "required" else {"tools": tools}


def _specification(function: Function, names: Spelling) -> dict[str, Any]:
    written: dict[str, Any] = {"name": names.sent(function.name), "inputSchema": {"json": _schema(function.schema)}}
    if function.description and not function.description.isspace():
        written["description"] = function.description
    if function.strict:
        written["strict"] = True
    return written


def _schema(schema: Raw) -> Raw:
    """A schema whose root is an object, with its definitions where they are looked for: under `$defs`."""
    try:
        members = _decode_object(schema)
    except (ValueError, RecursionError):
        raise NotCarriedError("The parameters of a function must be a JSON schema of an object.", "tools") from None
    old = "definitions" in members and "$defs" not in members and b'"#/definitions/' in bytes(schema)
    if "type" in members and not old:
        return schema
    # The order of the members stays, so that what was cached is found.
    written = {"$defs" if old and name == "definitions" else name: value for name, value in members.items()}
    whole = msgspec.json.encode({"type": _OBJECT, **written})
    return Raw(whole.replace(b'"#/definitions/', b'"#/$defs/') if old else whole)
