"""A chat completion request, understood only as far as routing needs.

The body's top level is decoded; every value stays the raw bytes that the client sent, so a prompt of a megabyte is
neither parsed nor encoded again, and fields that nobody here knows survive. Duplicate keys collapse to the last, as in
every common JSON parser, so that no two readers of the request can disagree about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.core.errors import bad_request

_MAX_MODEL = 256
"""Characters of a model name. The longest real ones (deployment paths, ARNs) are well below."""

_NULL, _TRUE = msgspec.Raw(b"null"), msgspec.Raw(b"true")
_TRUTHS = (_NULL, _TRUE, msgspec.Raw(b"false"))
_BRACKET = ord("[")
_decode_text = msgspec.json.Decoder(str).decode
_decode_top = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_decode_options = msgspec.json.Decoder(_StreamOptions | None).decode


class ChatRequest(msgspec.Struct, frozen=True):
    """One client's request. `fields` are the raw values of the body's top level, in the client's order."""

    fields: Mapping[str, msgspec.Raw]
    model: str
    stream: bool
    include_usage: bool
    """The client asked to see the usage at the end of the stream."""
    choices: int = 1
    """How many answers at once the client asked for (`n`)."""


def parse_chat(body: bytes | bytearray) -> ChatRequest:
    """Understand a request body. Raises ClientError (400) that names the field and the cure."""
    fields = _top_level(body)
    model = _model(fields)
    if "messages" not in fields:
        raise bad_request("Missing required field: 'messages'.", param="messages")
    # Only the first byte is looked at: the messages may be megabytes, and a copy would be the costliest step here.
    if memoryview(fields["messages"])[0] != _BRACKET:
        raise bad_request("'messages' must be an array.", param="messages")
    stream = fields.get("stream", _NULL)
    if stream not in _TRUTHS:
        raise bad_request("'stream' must be true or false.", param="stream")
    return ChatRequest(fields, model, stream == _TRUE, _include_usage(fields), _choices(fields))


def _top_level(body: bytes | bytearray) -> dict[str, msgspec.Raw]:
    if not body or body.isspace():
        raise bad_request("The request body is empty; send a JSON object.")
    try:
        # Raw values are not looked into while the top level is decoded, so text that is not UTF-8 would slip through.
        if not body.isascii():
            body.decode()
        return _decode_top(body)
    except UnicodeDecodeError as error:
        raise bad_request(f"The request body is not valid UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise bad_request("The request body is nested too deeply.") from None
    except msgspec.ValidationError:
        raise bad_request("The request body must be a JSON object.") from None
    except msgspec.DecodeError as error:
        raise bad_request(f"The request body is not valid JSON: {error}.") from None


def _model(fields: Mapping[str, msgspec.Raw]) -> str:
    raw = fields.get("model")
    if raw is None:
        raise bad_request("Missing required field: 'model'.", param="model")
    try:
        model = _decode_text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request("'model' must be a string.", param="model") from None
    if not model or len(model) > _MAX_MODEL or not model.isprintable():
        raise bad_request(f"'model' must be 1 to {_MAX_MODEL} printable characters.", param="model")
    return model


def _include_usage(fields: Mapping[str, msgspec.Raw]) -> bool:
    raw = fields.get("stream_options")
    if raw is None:
        return False
    try:
        options = _decode_options(raw)
    except msgspec.DecodeError:
        raise bad_request("'stream_options' must be an object.", param="stream_options") from None
    return options is not None and options.include_usage is True


def _choices(fields: Mapping[str, msgspec.Raw]) -> int:
    """`n`, or 1 where it is absent or makes no sense: whether it does is the upstream's to say."""
    value = fields.get("n")
    if value is None:
        return 1
    raw = bytes(value)
    return int(raw) if raw.isdigit() and len(raw) < 4 else 1
