"""Tools that take any text (`custom`), as functions of one text, and their calls back again.

Agents patch files by them, and no chat model but OpenAI's newest knows such tools. The grammar of a text, if it has
one, is told to the model, which is not bound to it: whoever runs the tool checks it anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.core.mentions import mentions
from proxy.dialects.chat_events import to_json
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.raw_json import NULL, is_text

_TYPE: Final = "custom"
_ALL: Final = "The whole input of the tool, as plain text."
_BY_GRAMMAR: Final = "The whole input of the tool, as plain text that follows this {syntax} grammar:\n{definition}"


class _Format(Struct):
    syntax: str | None = None
    definition: str | None = None


class _Tool(Struct):
    type: str | None = None
    name: str | None = None


class _Input(Struct):
    input: str


_decode_format = msgspec.json.Decoder(_Format).decode
_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_input = msgspec.json.Decoder(_Input).decode


def as_function(tool: Mapping[str, Raw], place: str) -> dict[str, Any]:
    """The function that stands for a tool. Raises NotCarriedError."""
    name = tool.get("name", NULL)
    if not is_text(name):
        raise NotCarriedError(f"'{place}.name' must be a string.", f"{place}.name")
    text = {"type": "string", "description": _described(tool.get("format", NULL))}
    schema = {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}
    description = tool.get("description", NULL)
    told = {} if description == NULL else {"description": description}
    return {"type": "function", "function": {"name": name, **told, "parameters": schema}}


def names_in(tools: Raw) -> frozenset[str]:
    """The names of a request's tools of free form. Never raises."""
    if not mentions(tools, b'"custom"'):
        return frozenset()
    try:
        return frozenset(tool.name for tool in _decode_tools(tools) if tool.type == _TYPE and tool.name)
    except (ValueError, RecursionError):
        return frozenset()


def arguments_of(text: Raw) -> Raw:
    """The arguments of the function, as the JSON of a string; `text` is the input, as JSON."""
    return Raw(to_json((b'{"input":%b}' % text).decode()))


def input_of(arguments: str) -> str:
    """The input of a tool, out of the arguments of the function that stands for it; all of them if it is not there."""
    try:
        return _decode_input(arguments).input
    except (ValueError, RecursionError):
        return arguments


def freeform_item(id_: str, call_id: str, name: str, text: str, status: str) -> dict[str, Any]:
    """A call of such a tool."""
    told = {"call_id": call_id, "name": name, "input": text}
    return {"id": id_, "type": "custom_tool_call", "status": status, **told}


def _described(form: Raw) -> str:
    try:
        told = _Format() if form == NULL else _decode_format(form)
    except (ValueError, RecursionError):
        return _ALL
    if told.definition is None:
        return _ALL
    return _BY_GRAMMAR.format(syntax=told.syntax or "", definition=told.definition)
