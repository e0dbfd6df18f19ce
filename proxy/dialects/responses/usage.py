"""Token counts on the responses wire, out of those on the chat wire, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from proxy.dialects.chat_events import read_usage, to_json, usage_of
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


def usage_of_chat(usage: object) -> dict[str, Any] | None:
    """A chat usage, decoded, as the responses wire tells it; None if there is none.

    What the upstream did not tell is zero here, since this wire has no way to leave it out.
    """
    counted = read_usage(usage)
    if counted is None:
        return None
    return {
        "input_tokens": counted.prompt,
        "input_tokens_details": {"cached_tokens": counted.cached, "cache_write_tokens": counted.written},
        "output_tokens": counted.completion,
        "output_tokens_details": {"reasoning_tokens": counted.thought or 0},
        # Some providers leave the thoughts out of the completion, but not out of the total.
        "total_tokens": max(counted.total, counted.prompt + counted.completion),
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
