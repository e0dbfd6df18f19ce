"""What a simulated upstream says: the words, the tool calls and the JSON documents of one answer.

A *token* is a word with the space before it; usage, limits and the parameter `after` of the faults all count them. An
answer depends on the seed, the upstream and the last message of the user, and on nothing else.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Literal, NamedTuple

from proxy.simulator.chat_request import ChatRequest, text_of
from proxy.simulator.documents import document

Prefill = Literal["continue", "repeat", "ignore"]

PROBE_PROMPT = "Reply with the word ok."

_SENTENCES = (
    "No model was asked, no key was needed and nothing was billed.",
    "These words come from a small program that imitates a provider.",
    "They arrive one at a time, at the pace that was set.",
    "Break this upstream on purpose and watch where the answer comes from next.",
    "The same seed and the same question give the same words again.",
    "A real upstream would have thought about your question here.",
    "Everything around these words, from headers to usage, has the usual shape.",
    "Point a route at a real provider when you want real answers.",
)
_TOKEN = re.compile(r"\s*\S+(?:\s+\Z)?")


class ToolCall(NamedTuple):
    """A call of a tool; `arguments` is what the JSON text of the arguments decodes to."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Voice:
    """How one upstream answers. Every field may be changed at any time and counts from the next request on."""

    upstream: str
    seed: int = 0
    answer: str | None = None
    """The text of every answer; None says that it is simulated, and by whom."""
    words_per_answer: int | None = None
    """Words of the simulated text; None is 20 to 40. A set `answer` is repeated or shortened to it."""
    pace: float = 0.02
    """Seconds between two chunks; a JSON answer takes as long as its words would."""
    first_token_delay: float = 0.05
    """Seconds before the first word."""
    reasoning: str = ""
    """Text that is sent as `reasoning_content` before the answer."""
    tool_calls: int | Sequence[ToolCall] = 0
    """Calls to make unasked: how many of the request's tools, or these very calls."""
    usage: Mapping[str, Any] | None = None
    """The usage to report; None counts words."""
    prefill: Prefill = "continue"
    """What becomes of a trailing assistant message: it is continued, repeated and continued, or ignored."""
    models: Sequence[str] = field(default=("simulated",))
    """The ids that `GET /v1/models` lists; any model is answered."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative of an answer."""

    tokens: tuple[str, ...]
    reasoning: tuple[str, ...] = ()
    tool_calls: tuple[tuple[str, ToolCall], ...] = ()
    """Pairs of call id and call."""
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, before it gets a wire shape."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Mapping[str, Any]


def compose(voice: Voice, asked: ChatRequest, serial: int, now: float) -> Answer:
    """The answer to a request; `serial` counts the requests of the upstream and `now` is Unix time."""
    luck = random.Random(f"{voice.seed}/{voice.upstream}/{serial}")
    choices = tuple(_choice(voice, asked, index, luck) for index in range(asked.choices))
    return Answer(f"chatcmpl-{luck.randbytes(12).hex()}", int(now), asked.model, choices, _usage(voice, asked, choices))


def tokens_of(text: str) -> tuple[str, ...]:
    """The words of a text, each with the space before it; joined they are the text again."""
    return tuple(_TOKEN.findall(text))


def _choice(voice: Voice, asked: ChatRequest, index: int, luck: random.Random) -> Choice:
    reasoning = tokens_of(voice.reasoning)
    calls = _tool_calls(voice, asked)
    if calls:
        marked = tuple((f"call_{luck.randbytes(12).hex()}", call) for call in calls)
        return Choice((), reasoning, marked, "tool_calls")
    words = _words(voice, asked, index)
    if asked.max_tokens is not None and asked.max_tokens < len(words):
        return Choice(words[: asked.max_tokens], reasoning, (), "length")
    return Choice(words, reasoning)


def _tool_calls(voice: Voice, asked: ChatRequest) -> Sequence[ToolCall]:
    by_name = {str(tool["name"]): tool for tool in asked.tools}
    names = list(asked.forced_tools)
    # Unasked calls stop once a tool has answered, so that an agent's loop comes to its end.
    if not names and voice.tool_calls and asked.messages[-1].get("role") != "tool":
        if not isinstance(voice.tool_calls, int):
            return voice.tool_calls
        names = list(by_name)[: voice.tool_calls]
    return [ToolCall(name, document(by_name[name].get("parameters"))) for name in names]


def _words(voice: Voice, asked: ChatRequest, index: int) -> tuple[str, ...]:
    if asked.schema is not None:
        return tokens_of(json.dumps(document(asked.schema), ensure_ascii=False))
    messages = asked.messages
    if PROBE_PROMPT in _question(messages):
        return ("ok",)
    spoken = text_of(messages[-1]) if messages[-1].get("role") == "assistant" else ""
    text = _text(voice, _question(messages), index)
    if not spoken:
        spoken, text = _interrupted(voice, messages, index) or ("", text)
    if not spoken or voice.prefill == "ignore":
        return tokens_of(text)
    rest = _rest(text, spoken)
    return tokens_of(spoken + rest) if voice.prefill == "repeat" else tokens_of(rest)


def _question(messages: Sequence[Mapping[str, Any]]) -> str:
    return next((text_of(one) for one in reversed(messages) if one.get("role") == "user"), "")


def _interrupted(voice: Voice, messages: Sequence[Mapping[str, Any]], index: int) -> tuple[str, str] | None:
    """The part that was said and the whole text, when the user asks to go on with an answer that broke off.

    That is so when the last assistant message is the true beginning of the own answer to the question before it.
    """
    if len(messages) < 2 or messages[-2].get("role") != "assistant":
        return None
    spoken, text = text_of(messages[-2]), _text(voice, _question(messages[:-2]), index)
    begun = spoken.rstrip()
    return (spoken, text) if begun and begun != text and text.startswith(begun) else None


def _text(voice: Voice, question: str, index: int) -> str:
    if voice.answer is not None:
        return voice.answer if voice.words_per_answer is None else _resized(voice.answer, voice.words_per_answer)
    luck = random.Random(f"{voice.seed}/{voice.upstream}/{index}/{question}")
    sentences = cycle(luck.sample(_SENTENCES, len(_SENTENCES)))
    least = luck.randint(20, 28) if voice.words_per_answer is None else voice.words_per_answer
    words = f"Simulated answer from {voice.upstream}:".split(" ")
    while len(words) < least:
        words += next(sentences).split()
    return " ".join(words if voice.words_per_answer is None else words[:least])


def _resized(text: str, words: int) -> str:
    given = text.split() or ["word"]
    return " ".join(word for word, _ in zip(cycle(given), range(words), strict=False))


def _rest(text: str, spoken: str) -> str:
    """What follows after `spoken`: the exact rest, or for foreign words the own text from the same word on."""
    said = spoken.rstrip()
    if text.startswith(said):
        return text[len(said) :].removeprefix(spoken[len(said) :])
    words = tokens_of(text)
    return "".join(words[min(len(said.split()), len(words) - 1) :])


def _usage(voice: Voice, asked: ChatRequest, choices: Sequence[Choice]) -> Mapping[str, Any]:
    if voice.usage is not None:
        return voice.usage
    reasoning = sum(len(choice.reasoning) for choice in choices)
    written = sum(len(choice.tokens) for choice in choices)
    called = sum(len(json.dumps(call.arguments).split()) + 1 for choice in choices for _, call in choice.tool_calls)
    completion = reasoning + written + called
    return {
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": asked.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
