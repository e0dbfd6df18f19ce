"""Token counts on the responses wire, out of those on the chat wire, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from proxy.dialects.chat_events import to_json, usage_of
from proxy.dialects.lenient_json import peek


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Response(Struct):
    usage: _Usage | None = None


class _Event(Struct):
    response: _Response | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def from_chat_usage(usage: object) -> dict[str, Any] | None:
    """A chat usage, decoded, as the responses wire tells it; None if there is none.

    What the upstream did not tell is zero here, since this wire has no way to leave it out.
    """
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    read, said = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    read, said = read if isinstance(read, dict) else {}, said if isinstance(said, dict) else {}
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": _count(read.get("cached_tokens")),
            "cache_write_tokens": _count(read.get("cache_write_tokens")),
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": _count(said.get("reasoning_tokens"))},
        # Some providers leave the thoughts out of the completion, but not out of the total.
        "total_tokens": max(_count(usage.get("total_tokens")), prompt + completion),
    }


def chat_usage_of(body: bytes) -> dict[str, Any] | None:
    """The usage of a whole response, in the chat form. Never raises."""
    response = peek(_decode_response, body)
    return _chat_usage(response.usage if response else None)


def usage_of_event(data: bytes) -> bytes | None:
    """`{"usage": ...}` in the chat form, of the event that ends a stream; None if it tells none. Never raises."""
    event = peek(_decode_event, data)
    response = event.response if event else None
    usage = _chat_usage(response.usage if response else None)
    return None if usage is None else to_json({"usage": usage})


def _chat_usage(usage: _Usage | None) -> dict[str, Any] | None:
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    read, said = usage.input_tokens_details, usage.output_tokens_details
    return usage_of(
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        cached=read.cached_tokens if read else None,
        cache_write=read.cache_write_tokens if read else None,
        thought=said.reasoning_tokens if said else None,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
