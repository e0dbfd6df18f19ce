"""A Messages request as the top level of a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw, Struct

from proxy.core.request import ModelRequest
from proxy.dialects.chat_events import to_json
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.messages.conversation import chat_messages
from proxy.dialects.messages.names import user
from proxy.dialects.messages.shapes import decoded, given
from proxy.dialects.messages.tools import chat_tools, dropped_tools, is_strict
from proxy.dialects.raw_json import NULL

_ALIKE: Final = {
    "max_tokens": "max_completion_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
}
"""Fields whose values are the same on the chat wire, and their names there."""
_READ: Final = frozenset(
    {*_ALIKE, "messages", "metadata", "model", "output_config", "output_format", "stream", "system", "thinking"}
    | {"tool_choice", "tools", "top_k"}
)
"""Fields that are carried, in whatever form."""
_BOUND: Final = {
    "container": "a container on Anthropic's servers",
    "mcp_servers": "MCP servers that Anthropic calls",
    "inference_geo": "the choice of a place of inference",
}
"""What changes the meaning of a request if it is left out."""
_NOTHING: Final = frozenset({b"null", b"[]", b"{}", b'""'})
_BUDGETS: Final = ((16384, "high"), (4096, "medium"), (0, "low"))
"""From how many tokens of thoughts on which effort is about the same."""


class _Format(Struct, gc=False):
    type: str | None = None
    schema: Raw = NULL


class _Output(Struct, gc=False):
    effort: str | None = None
    format: _Format | None = None


class _Thinking(Struct, gc=False):
    type: str | None = None
    budget_tokens: int | None = None


class _Metadata(Struct, gc=False):
    user_id: str | None = None


def chat_fields(request: ModelRequest, *, extensions: bool = True) -> dict[str, Raw]:
    """The chat request that asks the same. Raises NotCarriedError, and ClientError (400) that names the place.

    `extensions` writes what OpenAI's own wire does not have but others take: `top_k`, and those of `chat_messages`.
    """
    fields = request.fields
    _check(fields)
    chat: dict[str, Any] = {"model": fields["model"], "messages": chat_messages(fields, extensions=extensions)}
    for name, its in _ALIKE.items():
        value = given(fields, name)
        if value is not None and bytes(value) not in _NOTHING:
            chat[its] = value
    if extensions and (top_k := given(fields, "top_k")) is not None:
        chat["top_k"] = top_k
    chat |= chat_tools(fields, extensions=extensions)
    chat |= _bounds(fields)
    metadata = given(fields, "metadata")
    if metadata is not None and (told := decoded(metadata, _Metadata, "metadata").user_id):
        chat["user"] = user(told)
    if request.stream:
        chat["stream"] = True
    return {name: value if isinstance(value, Raw) else Raw(to_json(value)) for name, value in chat.items()}


def dropped(request: ModelRequest) -> tuple[str, ...]:
    """What of the client's request is not in the chat request: fields, and the types of tools as `tools.<type>`."""
    lacking = [name for name, value in request.fields.items() if name not in _READ and value != NULL]
    return (*lacking, *(f"tools.{type_}" for type_ in dropped_tools(request.fields)))


def _check(fields: Mapping[str, Raw]) -> None:
    """Raises NotCarriedError if something would be lost without which the request is another one."""
    for name, what in _BOUND.items():
        if bytes(fields.get(name, NULL)) not in _NOTHING:
            raise NotCarriedError(f"'{name}' asks for {what}, which this model does not have", name)
    if fields.get("max_tokens") == Raw(b"0"):
        raise NotCarriedError("'max_tokens' of 0 asks to fill Anthropic's cache, which this model lacks", "max_tokens")


def _bounds(fields: Mapping[str, Raw]) -> dict[str, Any]:
    """The form that the answer is bound to, and the effort that it is worth."""
    raw = given(fields, "output_config")
    output = _Output() if raw is None else decoded(raw, _Output, "output_config")
    raw = given(fields, "output_format")  # its place before there was an `output_config`
    form = output.format or (None if raw is None else decoded(raw, _Format, "output_format"))
    bounds: dict[str, Any] = {}
    if form is not None:
        if form.type != "json_schema" or form.schema == NULL:
            raise NotCarriedError(
                "the format of the output is not one that this model can be bound to", "output_config"
            )
        schema = {"name": "answer", "schema": form.schema, "strict": is_strict(form.schema)}
        bounds["response_format"] = {"type": "json_schema", "json_schema": schema}
    raw = given(fields, "thinking")
    effort = _effort(_Thinking() if raw is None else decoded(raw, _Thinking, "thinking"), output.effort)
    if effort is not None:
        bounds["reasoning_effort"] = effort
    return bounds


def _effort(thinking: _Thinking, effort: str | None) -> str | None:
    """`reasoning_effort`; None leaves it to the model."""
    if thinking.type in {"disabled", "between_tools"}:
        return "none"
    if effort is not None:
        return effort
    if thinking.type == "adaptive":
        return "medium"
    if thinking.type != "enabled":
        return None
    budget = thinking.budget_tokens or 0
    return next((name for least, name in _BUDGETS if budget >= least), "low")
