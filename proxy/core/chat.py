"""A chat completion request: what routing needs of it beside its model."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from proxy.core.errors import ClientError, bad_request
from proxy.core.request import (
    BRACKET,
    Body,
    ModelRequest,
    check_list,
    check_text,
    decode_text,
    decode_top,
    is_streamed,
    may_be_model,
    model_of,
    top_level,
)


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_FALSE = Raw(b"false")
_UNUSUAL = frozenset({"n", "service_tier", "stream", "stream_options"})
"""Fields that say more than what the upstream is to be asked."""
_decode_options = msgspec.json.Decoder(_StreamOptions | None).decode


def parse_chat(body: Body) -> ModelRequest:
    """Understand a request body. Raises ClientError (400) that names the field and the cure."""
    fields = top_level(body)
    model = model_of(fields)
    check_list(fields, "messages")
    return ModelRequest(fields, model, is_streamed(fields), wants_usage(fields), _choices(fields))


def quick_chat(body: Body) -> ModelRequest | None:
    """The same in fewer steps; None for what is refused."""
    try:
        check_text(body)
        fields = decode_top(body)
        model = decode_text(fields["model"])
        if memoryview(fields["messages"])[0] != BRACKET or not may_be_model(model):
            return None
        if _UNUSUAL.isdisjoint(fields):
            return ModelRequest(fields, model)
        return ModelRequest(fields, model, is_streamed(fields), wants_usage(fields), _choices(fields))
    except (ValueError, KeyError, RecursionError, ClientError):
        return None


def is_usual(request: ModelRequest) -> bool:
    """Whether a request is for one answer, whole or as a stream, and asks for nothing unusual."""
    fields = request.fields
    if _UNUSUAL.isdisjoint(fields):
        return True
    if request.stream:
        return "n" not in fields and "service_tier" not in fields
    return fields.get("stream") == _FALSE and len(_UNUSUAL & fields.keys()) == 1


def wants_usage(fields: Mapping[str, Raw]) -> bool:
    """Whether the client asked for the usage at the end of its stream. Raises ClientError (400)."""
    raw = fields.get("stream_options")
    if raw is None:
        return False
    try:
        options = _decode_options(raw)
    except msgspec.DecodeError:
        raise bad_request("'stream_options' must be an object.", param="stream_options") from None
    return options is not None and options.include_usage is True


def _choices(fields: Mapping[str, Raw]) -> int:
    """`n`, or 1 where it is absent or makes no sense: whether it does is the upstream's to say."""
    value = fields.get("n")
    if value is None:
        return 1
    raw = bytes(value)
    return int(raw) if raw.isdigit() and len(raw) < 4 else 1
