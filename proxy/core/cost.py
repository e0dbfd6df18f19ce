"""What an answer costs, by the tokens that the upstream told and the prices that are known. Pure, and never a guess.

Where anything that matters is unknown the cost is None rather than too small: a count that the upstream left out, a
price that nobody wrote down, sound, which has prices of its own.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from proxy.core.facts import Price


class _OfPrompt(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _OfAnswer(Struct):
    audio_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _OfPrompt | None = None
    completion_tokens_details: _OfAnswer | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's word for what was cached."""


class _Holder(Struct):
    usage: _Usage | None = None


_NOTHING = _OfPrompt()
_decode = msgspec.json.Decoder(_Holder).decode


def cost_of(document: bytes | None, price: Price | None) -> float | None:
    """USD of one answer; None where that is unknown. `document` is the JSON in which its chat usage stands.

    `prompt_tokens` counts what was cached and written to the cache, `completion_tokens` the thoughts. Never raises.
    """
    if price is None or price.input is None or not document:
        return None
    try:
        usage = _decode(document).usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if usage is None or usage.prompt_tokens is None:
        return None
    details, answer = usage.prompt_tokens_details or _NOTHING, usage.completion_tokens_details
    if details.audio_tokens or (answer is not None and answer.audio_tokens):
        return None
    cached = details.cached_tokens or usage.prompt_cache_hit_tokens or 0
    return _sum(usage.prompt_tokens, usage.completion_tokens, cached, details.cache_write_tokens or 0, price)


def _sum(prompt: int, completion: int | None, cached: int, written: int, price: Price) -> float | None:
    if min(prompt, completion or 0, cached, written) < 0 or cached + written > prompt:
        return None
    if price.tiers:
        price = _at(price, prompt)
    # An embedding has no answer, and so no price for one.
    if (
        price.input is None
        or (price.output is None and completion)
        or (price.output is not None and completion is None)
    ):
        return None
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    said = (completion or 0) * (price.output or 0.0)
    return ((prompt - cached - written) * price.input + cached * read + written * write + said) / 1e6


def _at(price: Price, prompt: int) -> Price:
    """The prices for a prompt of so many tokens. A tier holds for all of it, not for what is above it alone."""
    for tier in price.tiers:
        if prompt <= tier.above:
            break
        price = Price(
            price.input if tier.input is None else tier.input,
            price.output if tier.output is None else tier.output,
            price.cache_read if tier.cache_read is None else tier.cache_read,
            price.cache_write if tier.cache_write is None else tier.cache_write,
            price.tiers,
        )
    return price
