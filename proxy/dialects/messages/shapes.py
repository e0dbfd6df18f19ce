"""What is decoded of a Messages request: the blocks of its content, with their texts and files as raw JSON.

Texts go from one language into the other as the bytes that the client sent; only what decides where something goes is
decoded. Whatever has another type than the wire allows is the client's fault, and is said to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import bad_request
from proxy.dialects.raw_json import NULL, is_text

_T = TypeVar("_T")


class Source(Struct, gc=False):
    """Where an image or a document comes from."""

    type: str | None = None
    """`base64`, `url`, `text`, `content` or `file`."""
    media_type: Raw = NULL
    data: Raw = NULL
    url: Raw = NULL
    content: Raw = NULL


class Block(Struct, gc=False):
    """A block of a message's content, of any type."""

    type: str
    text: Raw = NULL
    source: Raw = NULL
    """An object, as `Source`; a text in search results."""
    title: Raw = NULL
    context: Raw = NULL
    id: str | None = None
    name: str | None = None
    input: Raw = NULL
    tool_use_id: str | None = None
    tool_name: Raw = NULL
    content: Raw = NULL
    is_error: bool | None = None
    thinking: Raw = NULL
    signature: Raw = NULL
    data: Raw = NULL
    cache_control: Raw = NULL


class Message(Struct, gc=False):
    """One turn of the conversation."""

    role: str
    content: Raw


class Tool(Struct, gc=False):
    """A tool: one that the client describes, or one that Anthropic knows by its type."""

    name: str | None = None
    type: str | None = None
    description: Raw = NULL
    input_schema: Raw = NULL
    strict: bool | None = None
    cache_control: Raw = NULL


def decoded(raw: Raw, type_: type[_T], place: str) -> _T:
    """A value of the request. Raises ClientError (400) that names the place if it has another form."""
    try:
        return msgspec.json.decode(raw, type=type_)
    except RecursionError:
        raise bad_request(f"{place}: nested too deeply") from None
    except ValueError as error:
        raise bad_request(f"{place}: {error}", param=place.partition(".")[0]) from None


def blocks_of(content: Raw, place: str) -> list[Block]:
    """The blocks of a content that is a list, or a text, which stands for one block. Raises ClientError (400)."""
    if is_text(content):
        return [Block("text", text=content)]
    return decoded(content, list[Block], place)


def given(fields: Mapping[str, Raw], name: str) -> Raw | None:
    """A field that is there and not null."""
    value = fields.get(name, NULL)
    return None if value == NULL else value


def text_of(raw: Raw, place: str) -> Raw:
    """A raw value that must be a string. Raises ClientError (400)."""
    if not is_text(raw):
        raise bad_request(f"{place}: Input should be a valid string", param=place.partition(".")[0])
    return raw


def quoted(text: bytes | str) -> Raw:
    """A JSON string; bytes are UTF-8."""
    return Raw(msgspec.json.encode(text if isinstance(text, str) else text.decode()))


def without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the client left out."""
    return {name: value for name, value in members.items() if value is not None and value != NULL}
