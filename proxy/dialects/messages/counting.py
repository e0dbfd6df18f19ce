"""About how many tokens a Messages request has, where nobody is asked who would know exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure
from proxy.core.request import ModelRequest
from proxy.dialects.messages.shapes import Block, Message, Source, blocks_of, decoded, given
from proxy.dialects.no_answer import no_answer
from proxy.dialects.openai.chat import Completion
from proxy.dialects.raw_json import NULL, is_text

_PER_MESSAGE: Final = 4
_PER_IMAGE: Final = 1600
"""Anthropic shrinks images until they cost no more."""
_IMAGE_BYTES: Final = 100
"""Bytes of a compressed image to a token, as long as it is small."""
_PDF_BYTES: Final = 25
"""Bytes of a PDF file to a token: some 2,000 tokens to a page of 50 kB."""
_WIDE: Final = re.compile("[\u2e80-\ud7a3\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+")
"""Characters of Chinese, Japanese and Korean: about a token each."""
_MARKS: Final = '{}[]();=<>"'
_MANY_MARKS: Final = 12
"""One of `_MARKS` in so many characters makes a text code, or JSON."""
_SAMPLE: Final = 4096
"""Characters in which they are looked for."""


class _Count(Struct):
    input_tokens: int | None = None


_decode_count = msgspec.json.Decoder(_Count).decode


def text_tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its bytes in prose, a third in code, one for a wide character."""
    size = len(text)
    wide = 0
    if not text.isascii():
        wide = sum(map(len, _WIDE.findall(text)))
        size = len(text.encode("utf-8", "replace")) - 3 * wide
    sample = text[:_SAMPLE]
    marks = sum(map(sample.count, _MARKS))
    return wide + -(-size // (3 if marks * _MANY_MARKS > len(sample) else 4))


def estimate(request: ModelRequest) -> int:
    """About how many tokens the prompt of a Messages request has. Raises ClientError (400) if it is not valid."""
    fields = request.fields
    tokens = 0
    system = given(fields, "system")
    if system is not None:
        tokens += _content(system, "system")
    for index, message in enumerate(decoded(fields["messages"], list[Message], "messages")):
        tokens += _PER_MESSAGE + _content(message.content, f"messages.{index}.content")
    tools = given(fields, "tools")
    return max(1, tokens if tools is None else tokens + len(tools) // 4)


def read_count(body: bytes, kind: str, now: float) -> Completion | Failure:
    """The answer of somebody who counted, or the failure that it is; see `ClientWire.read`."""
    try:
        counted = _decode_count(body)
    except (ValueError, RecursionError):
        return no_answer(body, "a count of tokens", kind, now)
    if counted.input_tokens is None or counted.input_tokens < 0:
        return no_answer(body, "a count of tokens", kind, now)
    return Completion(body, None)


def count_answer(tokens: int) -> bytes:
    """The answer to a request that asks for the count of its tokens."""
    return msgspec.json.encode({"input_tokens": tokens})


def _content(content: Raw, place: str) -> int:
    return _blocks(blocks_of(content, place), place)


def _blocks(blocks: Iterable[Block], place: str, depth: int = 0) -> int:
    tokens = 0
    for block in blocks:
        tokens += sum(_text(raw) for raw in (block.text, block.thinking, block.title, block.context))
        if block.input != NULL:
            tokens += len(block.input) // 3
        if block.source != NULL:
            tokens += _source(block, place)
        if block.content != NULL and depth < 2:
            # Results of Anthropic's own tools have a content of their own kind.
            plain = is_text(block.content) or block.type == "tool_result"
            inner = blocks_of(block.content, place) if plain else []
            tokens += _blocks(inner, place, depth + 1) if plain else len(block.content) // 4
    return tokens


def _source(block: Block, place: str) -> int:
    if is_text(block.source):
        return _text(block.source)
    source = decoded(block.source, Source, f"{place}.source")
    if source.type == "text":
        return _text(source.data)
    if source.type == "base64":
        size = len(source.data) * 3 // 4
        return min(_PER_IMAGE, size // _IMAGE_BYTES) if block.type == "image" else size // _PDF_BYTES
    return _PER_IMAGE if block.type == "image" else len(source.content) // 4


def _text(raw: Raw) -> int:
    return text_tokens(msgspec.json.decode(raw, type=str)) if is_text(raw) else 0
