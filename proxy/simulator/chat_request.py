"""Reading a chat request: what is asked, or the problem that OpenAI would name in its 400."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class BadRequestError(Exception):
    """A request that is answered with 400; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The parts of a chat request that change the answer."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    stream: bool
    include_usage: bool
    choices: int
    max_tokens: int | None
    tools: Sequence[Mapping[str, Any]]
    """The offered functions: name and parameters."""
    forced_tools: Sequence[str]
    """Names of the functions that must be called."""
    schema: object
    """JSON schema of the wanted answer, {} for any object, None for text."""

    @property
    def prompt_tokens(self) -> int:
        """Words of all messages, and four for each message around them."""
        return sum(4 + len(text_of(message).split()) for message in self.messages)


def parse_json(body: bytes) -> object:
    """The decoded body, or None when it is no JSON."""
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded


def parse_chat(body: bytes) -> ChatRequest:
    """Read a chat request, or raise BadRequestError."""
    asked = parse_json(body)
    if not isinstance(asked, dict):
        raise BadRequestError(
            "We could not parse the JSON body of your request. The API expects a JSON object, sent with the "
            "content type application/json."
        )
    tools = _tools(asked)
    stream = asked.get("stream") is True
    return ChatRequest(
        model=_model(asked),
        messages=_messages(asked),
        stream=stream,
        include_usage=_include_usage(asked, stream=stream),
        choices=_positive(asked, "n", 128) or 1,
        max_tokens=_positive(asked, "max_completion_tokens") or _positive(asked, "max_tokens"),
        tools=tools,
        forced_tools=_forced_tools(asked, tools),
        schema=_schema(asked),
    )


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, also when its content is a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _model(asked: Mapping[str, Any]) -> str:
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("you must provide a model parameter", "model")
    return model


def _messages(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = asked.get("messages")
    if messages is None:
        raise BadRequestError("Missing required parameter: 'messages'.", "messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadRequestError("Invalid 'messages': expected an array of message objects, at least one.", "messages")
    return messages


def _include_usage(asked: Mapping[str, Any], *, stream: bool) -> bool:
    options = asked.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise BadRequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )
    return isinstance(options, dict) and options.get("include_usage") is True


def _positive(asked: Mapping[str, Any], name: str, most: int | None = None) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most is not None and value > most):
        raise BadRequestError(
            f"Invalid '{name}': expected an integer from 1{f' to {most}' if most else ''}, got {value!r:.40}.", name
        )
    return value


def _tools(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = asked.get("tools") or ()
    if not isinstance(tools, (list, tuple)):
        raise BadRequestError("Invalid 'tools': expected an array of tools.", "tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return [one for one in functions if isinstance(one, dict) and isinstance(one.get("name"), str)]


def _forced_tools(asked: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The named function; or for `required` the first two offered, one if parallel calls are off."""
    choice = asked.get("tool_choice")
    names = [str(tool["name"]) for tool in tools]
    if choice == "required" or (isinstance(choice, dict) and choice.get("type") == "function"):
        if not names:
            raise BadRequestError("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
        if choice == "required":
            return names[: 1 if asked.get("parallel_tool_calls") is False else 2]
        function = choice.get("function")
        wanted = function.get("name") if isinstance(function, dict) else None
        if wanted not in names:
            raise BadRequestError(
                f"Invalid 'tool_choice': no tool is named {wanted!r:.80}.", "tool_choice.function.name"
            )
        return [str(wanted)]
    return []


def _schema(asked: Mapping[str, Any]) -> object:
    wanted = asked.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") not in {"json_object", "json_schema"}:
        return None
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return schema if isinstance(schema, dict) else {}
