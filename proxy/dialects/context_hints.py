"""The numbers that a refusal for its length names: how long the prompt is, and how long it may be.

llama.cpp sends them as members of its error, the others in a sentence. Each sentence is of one provider; a number that
cannot be read, or a sentence that nobody knows, says nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from proxy.dialects.error_text import ErrorText

_P: Final = r"\(?(?P<prompt>\d[\d,_]{0,14})\)?"
_W: Final = r"\(?(?P<window>\d[\d,_]{0,14})\)?"
_MOST_OF: Final = rf"maximum context length is {_W} tokens"
_LONGEST: Final = 1000
"""Characters of a message that are read; what comes later may be the prompt's."""
_MOST: Final = 10**9


class ContextHint(NamedTuple):
    """What a refusal tells, in tokens; None where it does not."""

    prompt: int | None = None
    window: int | None = None


_SENTENCES: Final = tuple(
    re.compile(sentence, re.IGNORECASE)
    for sentence in (
        # xAI
        rf"maximum prompt length is {_W} but the request contains {_P}",
        # OpenAI of old, and vLLM: so many requested, of these so many in the messages
        rf"{_MOST_OF}\D{{1,40}}you requested \d+ tokens {_P} in the (?:messages|prompt)",
        # OpenAI, DeepSeek, vLLM
        rf"{_MOST_OF}\D{{1,40}}(?:messages|input|prompt|request) \D{{1,40}}{_P} (?:input )?tokens",
        # vLLM, sglang
        rf"(?:input|prompt) (?:length )?{_P}(?: tokens)? exceeds (?:the )?model's maximum context length {_W}",
        rf"input {_P} tokens\) is longer than the model's context length {_W}",
        # Gemini
        rf"input token count {_P} exceeds the maximum number of tokens allowed {_W}",
        # Mistral
        rf"prompt (?:contains|has) {_P} tokens[^.]{{1,40}}too large for model with {_W}",
        # Anthropic, Bedrock
        rf"prompt is too long: {_P} tokens > {_W} maximum",
        # llama.cpp
        rf"request {_P} tokens\) exceeds the available context size {_W}",
        # Anyone who names the window alone
        rf"maximum context length (?:is|of) {_W}(?P<prompt>)",
    )
)


def context_hint(error: ErrorText) -> ContextHint:
    """The numbers of an error that refused a request for its length. Never raises."""
    for fact in error.facts:
        window, prompt = _count(fact.get("n_ctx")), _count(fact.get("n_prompt_tokens"))
        if window is not None:
            return ContextHint(prompt, window)
    message = error.message[:_LONGEST]
    for sentence in _SENTENCES:
        if found := sentence.search(message):
            return ContextHint(_number(found["prompt"]), _number(found["window"]))
    return ContextHint()


def _number(digits: str) -> int | None:
    plain = digits.replace(",", "").replace("_", "")
    return _count(int(plain)) if plain.isdigit() else None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= _MOST else None
