"""A chat request in Ollama's native language, `/api/chat`.

The native wire is used, not the compatible one, since only there a prompt that does not fit is an error: Ollama cuts
it silently otherwise. The size of the window (`num_ctx`) is never taken from a request, as a change of it loads the
model again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw

from proxy.dialects.chat_events import to_json
from proxy.dialects.conversation import (
    Called,
    CalledFunction,
    Message,
    OutputFormat,
    check_carried,
    given,
    image_of,
    lacking,
    read_arguments,
    read_cap,
    read_format,
    read_messages,
    read_stops,
    read_toolbox,
    read_value,
)
from proxy.dialects.dialect import ChatAsked, NotCarriedError, Outgoing

_OPTIONS: Final = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "presence_penalty", "frequency_penalty",
    "repeat_penalty", "repeat_last_n",
)  # fmt: skip
"""Fields that are options under the same name."""
_EXTRAS: Final = ("logprobs", "top_logprobs")
_CARRIED: Final = frozenset(
    {
        *_OPTIONS,
        *_EXTRAS,
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "tools",
        "tool_choice",
        "reasoning_effort",
    }
)
_LEVELS: Final = {"none": "low", "minimal": "low", "low": "low", "medium": "medium"}
_ROLES: Final = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


def write_request(asked: ChatAsked) -> Outgoing:
    """The request to `/api/chat`. Raises NotCarriedError."""
    fields = given(asked)
    check_carried(fields)
    lost: list[str] = []
    # Both are on by default, and make room for the answer by forgetting what was asked.
    body: dict[str, Any] = {"model": asked.model, "messages": _messages(fields), "truncate": False, "shift": False}
    body["stream"] = asked.stream
    if tools := _tools(fields):
        body["tools"] = tools
    if wanted := _format(read_format(fields)):
        body["format"] = wanted
    effort = read_value(fields, "reasoning_effort", str)
    if effort is not None:
        if asked.facts.reasoning is False:
            lost.append("reasoning_effort")
        else:
            body["think"] = _think(asked.model, effort)
    body |= {name: fields[name] for name in _EXTRAS if name in fields}
    body["options"] = _options(fields, asked.options)
    if (keep_alive := asked.options.get("keep_alive")) is not None:
        body["keep_alive"] = _duration(str(keep_alive))
    return Outgoing("/api/chat", (to_json(body),), lacking(asked, _CARRIED, lost))


def _options(fields: Mapping[str, Raw], set_: Mapping[str, object]) -> dict[str, Any]:
    options: dict[str, Any] = {name: fields[name] for name in _OPTIONS if name in fields}
    if (cap := read_cap(fields)) is not None:
        options["num_predict"] = cap
    if stops := read_stops(fields):
        options["stop"] = stops
    if (window := set_.get("num_ctx")) is not None:
        options["num_ctx"] = window
    return options


def _duration(text: str) -> str | float:
    """A number means seconds; as a string it would lack its unit, and be refused."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _think(model: str, effort: str) -> bool | str:
    """Whether, or how much, to think. Only gpt-oss knows levels, and cannot but think; others may refuse a level."""
    if "gpt-oss" in model.lower():
        return _LEVELS.get(effort, "high")
    return effort != "none"


def _format(wanted: OutputFormat) -> str | Raw | None:
    if wanted.type == "json_schema":
        return wanted.schema
    return "json" if wanted.type == "json_object" else None


def _tools(fields: Mapping[str, Raw]) -> list[dict[str, Any]]:
    """The tools, unless none may be called: there is nothing like `tool_choice`."""
    toolbox = read_toolbox(fields)
    if toolbox.forced and toolbox.tools:
        raise NotCarriedError(
            "Ollama cannot be told to call a tool; 'tool_choice' must be auto or none.", "tool_choice"
        )
    if toolbox.choice.mode == "none":
        return []
    tools = []
    for tool in toolbox.tools:
        if (function := tool.function) is not None:
            told = {"name": function.name, "description": function.description or "", "parameters": function.schema}
            tools.append({"type": "function", "function": told})
    return tools


def _messages(fields: Mapping[str, Raw]) -> list[dict[str, Any]]:
    called: dict[str, str] = {}
    return [_message(message, called) for message in read_messages(fields)]


def _message(message: Message, called: dict[str, str]) -> dict[str, Any]:
    """One message; `called` gathers the names of the tools that were called, by the calls' ids."""
    role = _ROLES.get(message.role)
    if role is None:
        raise NotCarriedError(f"Messages of the role '{message.role[:40]}' cannot be translated.", "messages")
    text, images = _content(message)
    written: dict[str, Any] = {"role": role, "content": text}
    if images:
        written["images"] = images
    if role == "assistant" and message.thoughts:
        written["thinking"] = message.thoughts
    if role == "assistant" and message.tool_calls:
        written["tool_calls"] = [_call(call, called) for call in message.tool_calls]
    if role == "tool":
        name = called.get(message.tool_call_id or "") or message.name
        told = {"tool_name": name, "tool_call_id": message.tool_call_id}
        written |= {member: value for member, value in told.items() if value}
    return written


def _call(call: Called, called: dict[str, str]) -> dict[str, Any]:
    function = call.function or CalledFunction()
    called[call.id or ""] = function.name
    written = {"function": {"name": function.name, "arguments": read_arguments(function.arguments)}}
    return {"id": call.id, **written} if call.id else written


def _content(message: Message) -> tuple[str, list[str]]:
    """The text, its parts on lines of their own, and the images as base64."""
    if isinstance(message.content, str):
        return message.content, []
    texts, images = [], []
    for part in message.parts:
        if part.image_url is not None:
            images.append(image_of(part).data)
        elif (text := part.text if part.text is not None else part.refusal) is not None:
            texts.append(text)
        else:
            raise NotCarriedError(f"Ollama takes text and images; '{part.type[:40]}' cannot be carried.", "messages")
    return "\n".join(texts), images
