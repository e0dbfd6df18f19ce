"""Token counts out of the raw JSON in which an upstream told them."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer; None where the upstream did not say."""

    prompt: int | None = msgspec.field(name="prompt_tokens", default=None)
    completion: int | None = msgspec.field(name="completion_tokens", default=None)


class _Holder(msgspec.Struct):
    usage: Usage | None = None


_NOTHING = Usage()
_decode = msgspec.json.Decoder(_Holder).decode


def read_usage(document: bytes | None) -> Usage:
    """The usage in an answer, or in an event of a stream; unknown is None, never zero."""
    if not document:
        return _NOTHING
    try:
        return _decode(document).usage or _NOTHING
    except msgspec.DecodeError:
        return _NOTHING
