"""A chat request's conversation and tools, read for those who translate them into another language.

Only what can be carried over is named here: unknown members are skipped, and extensions have any type, so that they
harm nobody who does not look at them. A request that does not fit the wire is refused with NotCarriedError, since
nobody could say what its translation means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.dialect import ChatAsked, NotCarriedError
from proxy.dialects.lenient_json import arguments_object, decoded
from proxy.dialects.media import DataUrl, read_data_url
from proxy.dialects.raw_json import NULL, is_text

_ENVELOPE: Final = frozenset({"model", "messages", "stream", "stream_options", "n", "modalities", "response_format"})
"""Fields that every language has its own way for."""
_CAPS: Final = ("max_completion_tokens", "max_tokens")
_TTLS: Final = ("5m", "1h")
_CLOSED: Final = Raw(b"{}")
_ANY_OBJECT: Final = Raw(b'{"type":"object","properties":{}}')

_T = TypeVar("_T")


class CacheControl(NamedTuple):
    """Marks the end of what is worth keeping in the provider's cache; Anthropic's word, which many clients send."""

    ttl: str | None
    """`5m` or `1h`; None leaves it to the provider."""


class ImageUrl(Struct, gc=False):
    """Where an image or a video is, or all of it."""

    url: str = ""


class File(Struct, gc=False):
    """A file of a part."""

    file_data: str | None = None
    """A data URL."""
    filename: str | None = None
    file_id: str | None = None


class Audio(Struct, gc=False):
    """The sound of a part."""

    data: str | None = None
    """Base64."""
    format: str | None = None


class Part(Struct, gc=False):
    """A part of a message's content."""

    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    video_url: ImageUrl | str | None = None
    file: File | None = None
    input_audio: Audio | None = None
    cache_control: Any = None
    """For `cache_mark`."""

    @property
    def url(self) -> str | None:
        """The address of an image or a video."""
        link = self.image_url or self.video_url
        return link.url if isinstance(link, ImageUrl) else link


class ThoughtBlock(NamedTuple):
    """Thoughts as a model wants them back: signed, or encrypted; an extension that answers carry."""

    thinking: str | None
    signature: str | None
    data: str | None
    """Of encrypted thoughts."""


class CalledFunction(Struct, gc=False):
    """What was called."""

    name: str = ""
    arguments: Raw = NULL


class Called(Struct, gc=False):
    """A call of a tool."""

    id: str | None = None
    function: CalledFunction | None = None
    extra_content: Any = None
    """An extension: what else the model wants back, such as Google's thought signatures."""


class Message(Struct, gc=False):
    """A message of the conversation."""

    role: str
    content: str | list[Part | str] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None
    """For `thought_blocks`."""
    audio: Any = None
    """An earlier answer in sound."""
    function_call: Any = None
    cache_control: Any = None
    """As of a part."""

    @property
    def parts(self) -> Sequence[Part]:
        """The content, whatever its form; a refusal counts as text."""
        content = self.content if self.content is not None else self.refusal
        if isinstance(content, str):
            return (Part(text=content, cache_control=self.cache_control),)
        return [Part(text=part) if isinstance(part, str) else part for part in content or ()]

    @property
    def thoughts(self) -> str | None:
        """The reasoning, under either name."""
        told = self.reasoning_content or self.reasoning
        return told if isinstance(told, str) else None


_decode_messages = msgspec.json.Decoder(list[Message]).decode


class Function(Struct, gc=False):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None

    @property
    def schema(self) -> Raw:
        """The JSON schema of its arguments; of a function that declares none, that of an object."""
        return _ANY_OBJECT if self.parameters in (NULL, _CLOSED) else self.parameters


class Tool(Struct, gc=False):
    """A tool of the request."""

    type: str = "function"
    function: Function | None = None
    cache_control: Any = None
    """As of a part."""


class _Named(Struct, gc=False):
    name: str = ""


class _Allowed(Struct, gc=False):
    mode: str = "auto"
    tools: list[_Choice] = []


class _Choice(Struct, gc=False):
    type: str = ""
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


class _Schema(Struct, gc=False):
    schema: Raw = NULL
    name: str | None = None
    description: str | None = None


class _Format(Struct, gc=False):
    type: str = "text"
    json_schema: _Schema | None = None


class ToolChoice(NamedTuple):
    """What the client wants of its tools."""

    mode: str = "auto"
    """`auto`, `none`, `required`, or `named`."""
    name: str = ""
    """The function that must be called, if it is named."""


class Toolbox(NamedTuple):
    """The functions that a request offers."""

    tools: Sequence[Tool] = ()
    choice: ToolChoice = ToolChoice()

    @property
    def names(self) -> list[str]:
        """Of all functions."""
        return [tool.function.name for tool in self.tools if tool.function is not None]

    @property
    def forced(self) -> bool:
        """Whether a call is asked for."""
        return self.choice.mode in {"required", "named"}


class OutputFormat(NamedTuple):
    """The form that the answer's text shall have."""

    type: str = "text"
    """`text`, `json_object` or `json_schema`."""
    schema: Raw = NULL
    name: str | None = None
    description: str | None = None


def given(asked: ChatAsked) -> dict[str, Raw]:
    """The fields that say something: neither null nor refused by the model."""
    return {name: value for name, value in asked.fields.items() if value != NULL and name not in asked.without}


def lacking(asked: ChatAsked, carried: Collection[str], lost: Collection[str] = ()) -> tuple[str, ...]:
    """The client's fields that the upstream does not get: neither in `carried`, or nevertheless among the `lost`."""
    return tuple(
        name
        for name, value in asked.fields.items()
        if value != NULL and name not in _ENVELOPE and (name not in carried or name in asked.without or name in lost)
    )


def read_value(fields: Mapping[str, Raw], name: str, type_: type[_T]) -> _T | None:
    """A field's value, None if it is not given. Raises NotCarriedError if it is of another type."""
    raw = fields.get(name)
    return None if raw is None else _read(raw, name, msgspec.json.Decoder(type_).decode)


def _read(raw: Raw, name: str, decode: Callable[[bytes], _T]) -> _T:
    try:
        return decoded(decode, bytes(raw))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise NotCarriedError(f"'{name}' cannot be read: {reason}.", name) from None


def read_messages(fields: Mapping[str, Raw]) -> list[Message]:
    """The conversation. Raises NotCarriedError."""
    raw = fields.get("messages")
    messages = [] if raw is None else _read(raw, "messages", _decode_messages)
    for message in messages:
        if message.function_call is not None or message.role == "function":
            raise NotCarriedError("Calls in the old form (function_call) cannot be translated; use tools.", "messages")
    return messages


def check_carried(fields: Mapping[str, Raw]) -> None:
    """Refuse what no other language can carry. Raises NotCarriedError."""
    if (read_value(fields, "n", int) or 1) > 1:
        raise NotCarriedError("This upstream gives one answer at a time; 'n' must be 1.", "n")
    if fields.get("functions"):
        raise NotCarriedError("Functions in the old form cannot be translated; use tools.", "functions")
    if set(read_value(fields, "modalities", list[str]) or ()) - {"text"}:
        raise NotCarriedError("This upstream answers in text only.", "modalities")


def read_toolbox(fields: Mapping[str, Raw]) -> Toolbox:
    """The tools that may be called, and what is wanted of them. Raises NotCarriedError."""
    tools = read_value(fields, "tools", list[Tool]) or []
    if odd := next((tool.type for tool in tools if tool.type != "function" or tool.function is None), None):
        raise NotCarriedError(f"Tools of the type '{odd[:40]}' cannot be translated.", "tools")
    raw = fields.get("tool_choice")
    if raw is None:
        return Toolbox(tools)
    if is_text(raw):
        mode = read_value(fields, "tool_choice", str) or ""
        return Toolbox(tools, _choice("required" if mode == "any" else mode))
    choice = read_value(fields, "tool_choice", _Choice) or _Choice()
    if choice.type == "function" and choice.function is not None:
        return Toolbox(tools, ToolChoice("named", choice.function.name))
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        names = {each.function.name for each in choice.allowed_tools.tools if each.function is not None}
        allowed = [tool for tool in tools if tool.function is not None and tool.function.name in names]
        return Toolbox(allowed, _choice(choice.allowed_tools.mode))
    raise NotCarriedError("This form of 'tool_choice' cannot be translated.", "tool_choice")


def _choice(mode: str) -> ToolChoice:
    if mode in {"auto", "none", "required"}:
        return ToolChoice(mode)
    raise NotCarriedError(f"'tool_choice' cannot be '{mode[:40]}'.", "tool_choice")


def read_format(fields: Mapping[str, Raw]) -> OutputFormat:
    """The form that is asked for. Raises NotCarriedError."""
    wanted = read_value(fields, "response_format", _Format) or _Format()
    if wanted.type not in {"text", "json_object", "json_schema"}:
        raise NotCarriedError(f"'response_format' of the type '{wanted.type[:40]}' is unknown.", "response_format")
    schema = wanted.json_schema or _Schema()
    if wanted.type == "json_schema" and schema.schema == NULL:
        return OutputFormat("json_object")
    return OutputFormat(wanted.type, schema.schema, schema.name, schema.description)


def read_stops(fields: Mapping[str, Raw]) -> list[str]:
    """The texts at which the answer ends."""
    raw = fields.get("stop")
    if raw is not None and is_text(raw):
        stops = [read_value(fields, "stop", str) or ""]
    else:
        stops = read_value(fields, "stop", list[str]) or []
    return [stop for stop in stops if stop]


def read_cap(fields: Mapping[str, Raw]) -> int | None:
    """The most tokens of the answer, under either name."""
    return next((cap for name in _CAPS if (cap := read_value(fields, name, int)) is not None), None)


def cache_mark(mark: object) -> CacheControl | None:
    """The mark that a `cache_control` is; None if it is none."""
    if not isinstance(mark, dict):
        return None
    kind, ttl = mark.get("type"), mark.get("ttl")
    known = ttl if ttl in _TTLS else None
    return CacheControl(known) if kind == "ephemeral" or (kind is None and known) else None


def thought_blocks(blocks: object) -> list[ThoughtBlock]:
    """The thoughts in a message's `thinking_blocks`, as far as they are any."""
    if not isinstance(blocks, list):
        return []
    found = []
    for block in blocks:
        if isinstance(block, dict):
            texts = (block.get(name) for name in ThoughtBlock._fields)
            found.append(ThoughtBlock(*(text if isinstance(text, str) else None for text in texts)))
    return found


def read_arguments(arguments: Raw) -> object:
    """A call's arguments as an object; what is none stays readable to the model under `_raw`."""
    if is_text(arguments):
        return arguments_object(msgspec.json.decode(arguments, type=str))
    return arguments_object(None if arguments == NULL else bytes(arguments).decode("utf-8", "replace"))


def image_of(part: Part) -> DataUrl:
    """An image that is in the request itself. Raises NotCarriedError for one that would have to be fetched."""
    content = read_data_url(part.url or "")
    if content is None or not content.data:
        raise NotCarriedError("This upstream takes images as data URLs only, not by address.", "messages")
    return content
