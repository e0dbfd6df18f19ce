"""A client's request, understood only as far as routing needs.

The body's top level is decoded; every value stays the raw bytes that the client sent, so a prompt of a megabyte is
neither parsed nor encoded again, and fields that nobody here knows survive. Duplicate keys collapse to the last, as in
every common JSON parser, so that no two readers of the request can disagree about it.
"""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import bad_request
from proxy.core.wire import Wire

_MAX_MODEL = 256
"""Characters of a model name. The longest real ones (deployment paths, ARNs) are well below."""
_NULL, _TRUE = Raw(b"null"), Raw(b"true")
_TRUTHS = (_NULL, _TRUE, Raw(b"false"))
BRACKET = ord("[")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_BLANKS = b" \t\n\r\v\f"
_PIECE = 32 * 1024
"""Bytes that are checked at once. Decoded whole, a megabyte with one emoji takes four more."""
Body: TypeAlias = bytes | bytearray | memoryview
"""A request body, wherever it lies."""

decode_text = msgspec.json.Decoder(str).decode
decode_top = msgspec.json.Decoder(dict[str, Raw]).decode


class ModelRequest(Struct):
    """One client's request. `fields` are the raw values of the body's top level, in the client's order."""

    fields: Mapping[str, Raw]
    model: str
    stream: bool = False
    include_usage: bool = False
    """The client asked to see the usage at the end of the stream."""
    choices: int = 1
    """How many answers at once the client asked for (`n`)."""
    wire: Wire = Wire.CHAT
    """The language that the client speaks."""
    headers: Mapping[str, str] = _NO_HEADERS
    """Of the client's headers those that belong to its language, for upstreams that speak it, too."""
    as_chat: Mapping[str, Raw] | None = None
    """The same as the top level of a chat completion; see `dialects/languages.py: chat_fields`."""
    needs: Struct | None = None
    """What it needs of a model; see `routing/eligibility.py: needs_of`."""


def check_text(body: Body) -> None:
    """Raises UnicodeDecodeError, with the place in the body, unless that is UTF-8.

    Raw values are not looked into while the top level is decoded, so text that is not UTF-8 would slip through there.
    """
    if not isinstance(body, memoryview) and body.isascii():
        return
    view, start = memoryview(body), 0
    while start < len(view):
        end = start + _PIECE
        try:
            # A character may go on in the next piece.
            start += utf_8_decode(view[start:end], "strict", end >= len(view))[1]
        except UnicodeDecodeError as error:
            error.start += start
            raise


def top_level(body: Body) -> dict[str, Raw]:
    """The top level of a body. Raises ClientError (400)."""
    if not body or (body[0] in _BLANKS and bytes(body).isspace()):
        raise bad_request("The request body is empty; send a JSON object.")
    try:
        check_text(body)
        return decode_top(body)
    except UnicodeDecodeError as error:
        raise bad_request(f"The request body is not valid UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise bad_request("The request body is nested too deeply.") from None
    except msgspec.ValidationError:
        raise bad_request("The request body must be a JSON object.") from None
    except msgspec.DecodeError as error:
        raise bad_request(f"The request body is not valid JSON: {error}.") from None


def model_of(fields: Mapping[str, Raw]) -> str:
    """The model that is asked for. Raises ClientError (400)."""
    raw = fields.get("model")
    if raw is None:
        raise bad_request("Missing required field: 'model'.", param="model")
    try:
        model = decode_text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request("'model' must be a string.", param="model") from None
    if not may_be_model(model):
        raise bad_request(f"'model' must be 1 to {_MAX_MODEL} printable characters.", param="model")
    return model


def may_be_model(name: str) -> bool:
    """Whether something can be the name of a model at all."""
    return 0 < len(name) <= _MAX_MODEL and name.isprintable()


def is_streamed(fields: Mapping[str, Raw]) -> bool:
    """Whether the answer is to be streamed. Raises ClientError (400)."""
    stream = fields.get("stream", _NULL)
    if stream not in _TRUTHS:
        raise bad_request("'stream' must be true or false.", param="stream")
    return stream == _TRUE


def check_list(fields: Mapping[str, Raw], name: str) -> None:
    """Raises ClientError (400) unless a field is there and is a list."""
    if name not in fields:
        raise bad_request(f"Missing required field: '{name}'.", param=name)
    # Only the first byte is looked at: the messages may be megabytes, and a copy would be the costliest step here.
    if memoryview(fields[name])[0] != BRACKET:
        raise bad_request(f"'{name}' must be an array.", param=name)
