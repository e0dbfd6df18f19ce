"""A request on the responses wire as a chat completion.

Fields that both wires have keep their bytes, and so do fields that nobody here knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from proxy.core.mentions import mentions
from proxy.core.request import ModelRequest
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.raw_json import NULL, is_text
from proxy.dialects.responses.freeform import as_function
from proxy.dialects.responses.items import messages_of
from proxy.dialects.responses.parts import word
from proxy.dialects.responses.request import tie_of

_ELSEWHERE = frozenset(
    {
        # Translated below.
        "input", "instructions", "max_output_tokens", "parallel_tool_calls", "reasoning", "text", "tool_choice",
        "tools",
        # What ties a request to an account; refused unless it is null.
        "background", "conversation", "previous_response_id", "prompt",
        # Of the stored response, which there is none of; metadata are told back to the client all the same.
        "metadata", "store",
        # Of tools that OpenAI runs, of what its answers tell besides, and of how it keeps them within the window.
        "access_programs", "client_metadata", "context_management", "image", "include", "max_tool_calls",
        "stream_options", "top_logprobs", "truncation",
        # Of chat completions, where they would ask for what a response cannot hold.
        "audio", "function_call", "functions", "logprobs", "messages", "modalities", "n",
    }
)  # fmt: skip
"""Fields that are not taken over as they are."""
_TOLD_OR_TRANSLATED = frozenset(
    {
        "input", "instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "reasoning", "text",
        "tool_choice", "tools", "stream_options",
    }
)  # fmt: skip
"""Those of them that are heeded all the same, in whatever form."""
_AS_IT_IS = {
    "background": b"false",
    "include": b"[]",
    "logprobs": b"false",
    "n": b"1",
    "store": b"false",
    "top_logprobs": b"0",
    "truncation": b'"disabled"',
}
"""What asks for nothing more than what is done."""
_SEARCHES = re.compile("web_search(_preview)?(_[0-9_]+)?")
"""Tools that agents offer in every request, of use or not. All others that OpenAI runs would be missed: the model would
answer without what it was to find out, or make."""
_CHOICES = ("none", "auto", "required")
_FUNCTION = ("name", "description", "parameters", "strict")
_SCHEMA = ("name", "description", "schema", "strict")

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def to_chat(request: ModelRequest) -> dict[str, Raw]:
    """The top level of the chat completion. Raises NotCarriedError."""
    fields = request.fields
    if tie := tie_of(fields):
        what = f"Only the account that knows {tie.id[:100]!r} can answer: '{tie.param}' has no counterpart elsewhere."
        raise NotCarriedError(what, tie.param)
    chat = {name: value for name, value in fields.items() if name not in _ELSEWHERE and value != NULL}
    messages = messages_of(fields.get("instructions", NULL), fields.get("input", NULL))
    chat["messages"] = Raw(_encode(messages))
    if (cap := fields.get("max_output_tokens", NULL)) != NULL:
        chat["max_completion_tokens"] = cap
    reasoning = _object(fields, "reasoning")
    if (effort := reasoning.get("effort", NULL)) != NULL:
        chat["reasoning_effort"] = effort
    chat.update(_text(_object(fields, "text")))
    chat.update(_tools(fields))
    return chat


def dropped(request: ModelRequest) -> tuple[str, ...]:
    """What `to_chat` leaves out: fields, and the types of tools as `tools.<type>`. Never raises."""
    fields = tuple(
        name
        for name, value in request.fields.items()
        if name in _ELSEWHERE - _TOLD_OR_TRANSLATED and value != NULL and bytes(value) != _AS_IT_IS.get(name)
    )
    return (*fields, *(f"tools.{kind}" for kind in _searches(request.fields.get("tools", NULL))))


def _searches(tools: Raw) -> list[str]:
    """The types of the tools that are left out."""
    if not mentions(tools, b'"web_search'):
        return []
    try:
        kinds = [word(tool.get("type", NULL), "tools") for tool in _decode_objects(tools)]
    except (NotCarriedError, ValueError, RecursionError):
        return []
    return [kind for kind in kinds if _SEARCHES.fullmatch(kind)]


def _object(fields: Mapping[str, Raw], name: str, place: str = "") -> dict[str, Raw]:
    """A field that is an object; empty if it is absent."""
    value = fields.get(name, NULL)
    if value == NULL:
        return {}
    try:
        return _decode_object(value)
    except (ValueError, RecursionError):
        place = place or name
        raise NotCarriedError(f"'{place}' must be an object.", place) from None


def _text(text: dict[str, Raw]) -> dict[str, Raw]:
    """What the answer is to look like."""
    chat = {}
    if (verbosity := text.get("verbosity", NULL)) != NULL:
        chat["verbosity"] = verbosity
    form = _object(text, "format", "text.format")
    kind = word(form.get("type", NULL), "text.format.type")
    if kind == "json_schema":
        schema = {name: form[name] for name in _SCHEMA if form.get(name, NULL) != NULL}
        chat["response_format"] = Raw(_encode({"type": "json_schema", "json_schema": schema}))
    elif kind == "json_object":
        chat["response_format"] = Raw(b'{"type":"json_object"}')
    elif kind not in {"", "text"}:
        message = f"The format {kind[:50]!r} has no counterpart in a chat completion."
        raise NotCarriedError(message, "text.format")
    return chat


def _tools(fields: Mapping[str, Raw]) -> dict[str, Raw]:
    """The tools, and which of them may or must be called. Upstreams refuse the latter where there are no tools."""
    tools = _functions(fields.get("tools", NULL))
    choice, allowed = _choice(fields.get("tool_choice", NULL))
    if allowed is not None:
        # The others are left out: that is what it means, and what every upstream understands.
        tools = [tool for tool in tools if bytes(tool["function"]["name"]) in allowed]
    if not tools:
        if choice not in (None, "auto", "none"):
            raise NotCarriedError("A tool is to be called, and there is none.", "tool_choice")
        return {}
    chat = {"tools": Raw(_encode(tools))}
    if choice is not None:
        chat["tool_choice"] = Raw(_encode(choice))
    if (parallel := fields.get("parallel_tool_calls", NULL)) != NULL:
        chat["parallel_tool_calls"] = parallel
    return chat


def _functions(value: Raw) -> list[dict[str, Any]]:
    if value == NULL:
        return []
    try:
        tools = _decode_objects(value)
    except (ValueError, RecursionError):
        raise NotCarriedError("'tools' must be a list of objects.", "tools") from None
    written = [_function(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    return [function for function in written if function is not None]


def _function(tool: dict[str, Raw], place: str) -> dict[str, Any] | None:
    """A tool as a function; None for one that is left out."""
    kind = word(tool.get("type", NULL), f"{place}.type")
    if _SEARCHES.fullmatch(kind):
        return None
    if kind == "custom":
        return as_function(tool, place)
    if kind != "function":
        # Left out, it would be missed: the model would answer without what it was to find out.
        message = f"Only OpenAI runs a tool of the type {kind[:50]!r}; this deployment has functions only."
        raise NotCarriedError(message, place)
    if not is_text(tool.get("name", NULL)):
        raise NotCarriedError(f"'{place}.name' must be a string.", f"{place}.name")
    return {"type": "function", "function": {name: tool[name] for name in _FUNCTION if tool.get(name, NULL) != NULL}}


def _choice(value: Raw) -> tuple[str | dict[str, Any] | None, set[bytes] | None]:
    """The choice as chat has it, and the names of the tools that are allowed, as they stand in JSON; None is all."""
    if value == NULL:
        return None, None
    if is_text(value):
        choice = word(value, "tool_choice")
        if choice in _CHOICES:
            return choice, None
        raise NotCarriedError(f"'tool_choice' must be one of {', '.join(_CHOICES)}.", "tool_choice")
    members = _object({"tool_choice": value}, "tool_choice")
    kind = word(members.get("type", NULL), "tool_choice.type")
    if kind in {"function", "custom"} and is_text(members.get("name", NULL)):
        return {"type": "function", "function": {"name": members["name"]}}, None
    if kind == "allowed_tools":
        mode = word(members.get("mode", NULL), "tool_choice.mode")
        allowed = _functions(members.get("tools", NULL))
        if mode in _CHOICES:
            return mode, {bytes(tool["function"]["name"]) for tool in allowed}
    raise NotCarriedError(f"The choice of {kind[:50]!r} has no counterpart in a chat completion.", "tool_choice")
