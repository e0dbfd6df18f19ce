"""What a simulated upstream says: the words, the tool calls and the JSON documents of one answer.

A *token* is a word with the space before it; usage, limits and the parameter `after` of the faults all count them. An
answer depends on the seed, the upstream, the last message of the user and the beginning that the request shows of it,
and on nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, NamedTuple

from proxy.simulator.continuing import Prefill, begun, continued, question_of
from proxy.simulator.documents import document
from proxy.simulator.question import Question
from proxy.simulator.tokens import tokens_of

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
    """The text of every answer; None says that it is simulated, and by whom. `{images}` in it becomes their number."""
    words_per_answer: int | None = None
    """Words of the simulated text; None is 20 to 40. A set `answer` is repeated or shortened to it."""
    pace: float = 0.02
    """Seconds between two chunks; a JSON answer takes as long as its words would."""
    first_token_delay: float = 0.05
    """Seconds before the first word."""
    reasoning: str = ""
    """Text that is thought aloud before the answer, as each language tells it, unless a request turns that off."""
    refusal: str = ""
    """Text that refuses to answer, in the form that each language has for that; empty answers."""
    tool_calls: int | Sequence[ToolCall] = 0
    """Calls to make unasked: how many of the request's tools, or these very calls."""
    usage: Mapping[str, Any] | None = None
    """The usage to report; None counts words."""
    prefill: Prefill = "continue"
    """How it goes on with an answer that the request shows the beginning of, the *part*.

    `continue`: with exactly what comes next. `repeat`: with the whole part, then what comes next. `tail`: with the last
    words of the part, up to 100 characters, then what comes next. `restate`: as it was told to, that is with the mark
    `[…]` and what stands behind it in the user's message, then what comes next; as `continue` where there is no mark.
    `space`: as `continue`, but white space that was sent at the part's end is written once more. `ignore`: not at all,
    the own answer starts over.
    """
    models: Sequence[str] = field(default=("simulated",))
    """The ids that lists of models show; any model is answered."""
    context_window: int | None = None
    """Tokens (words) that a prompt may have, as lists of models show it; None is any number."""
    needs_key: bool = False
    """Whether a request needs the credentials (any key will do) and the version header of its language."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative of an answer."""

    tokens: Sequence[str]
    reasoning: tuple[str, ...] = ()
    tool_calls: tuple[tuple[str, ToolCall], ...] = ()
    """Pairs of hexadecimal digits, which the id is made of, and call."""
    finish_reason: str = "stop"
    """`stop`, `length`, `tool_calls` or `content_filter`."""
    stopped_by: str | None = None
    """The text of the request's `stops` that ended it."""
    refusal: tuple[str, ...] = ()
    """What is said in place of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, before it gets a wire shape."""

    mark: str
    """Random hexadecimal digits that the ids are made of."""
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Mapping[str, Any]
    """In the shape of chat completions."""


def compose(voice: Voice, asked: Question, serial: int, now: float) -> Answer:
    """The answer to a question; `serial` counts the requests of the upstream and `now` is Unix time."""
    luck = random.Random(f"{voice.seed}/{voice.upstream}/{serial}")
    choices = tuple(_choice(voice, asked, index, luck) for index in range(asked.choices))
    return Answer(luck.randbytes(12).hex(), int(now), asked.model, choices, _usage(voice, asked, choices))


def _choice(voice: Voice, asked: Question, index: int, luck: random.Random) -> Choice:
    if voice.refusal:
        return Choice((), refusal=tokens_of(voice.refusal))
    reasoning = tokens_of(voice.reasoning) if asked.reasons else ()
    calls = _tool_calls(voice, asked)
    if calls:
        marked = tuple((luck.randbytes(12).hex(), call) for call in calls)
        return Choice((), reasoning, marked, "tool_calls")
    words, stopped_by = _stopped(_words(voice, asked, index), asked.stops)
    if asked.max_tokens is not None and asked.max_tokens < len(words):
        return Choice(words[: asked.max_tokens], reasoning, (), "length")
    return Choice(words, reasoning, stopped_by=stopped_by)


def _stopped(words: tuple[str, ...], stops: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """The words before the first text that stops the answer, and that text."""
    text = "".join(words)
    found = min(((text.find(stop), stop) for stop in stops if stop in text), default=None)
    return (tokens_of(text[: found[0]]), found[1]) if found else (words, None)


def _tool_calls(voice: Voice, asked: Question) -> Sequence[ToolCall]:
    by_name = {str(tool["name"]): tool for tool in asked.tools}
    names = list(asked.forced_tools)
    # Unasked calls stop once a tool has answered, so that an agent's loop comes to its end.
    if not names and voice.tool_calls and not _is_answered(asked):
        if not isinstance(voice.tool_calls, int):
            return voice.tool_calls
        names = list(by_name)[: voice.tool_calls]
    return [ToolCall(name, _arguments(by_name[name].get("parameters"))) for name in names]


def _is_answered(asked: Question) -> bool:
    return bool(asked.messages) and asked.messages[-1].get("role") == "tool"


def _arguments(schema: object) -> Mapping[str, Any]:
    """Arguments are an object, whatever their schema says."""
    value = document(schema)
    return value if isinstance(value, dict) else {}


def _words(voice: Voice, asked: Question, index: int) -> tuple[str, ...]:
    part = begun(asked.messages)
    if part and part.request is None and not asked.prefills:
        part = None
    if asked.schema is not None:
        text = json.dumps(document(asked.schema), ensure_ascii=False)
        # Whoever is held to a schema can complete a document, but neither comment on one nor write the end of one.
        goes_on = part is not None and part.request is None and text.startswith(part.said)
        return tokens_of(continued(text, part, voice.prefill) if part and goes_on else text)
    question = question_of(asked.messages)
    if PROBE_PROMPT in question:
        return ("ok",)
    if part:
        text = _text(voice, asked, part.question, index)
        if part.is_of(text):
            return tokens_of(continued(text, part, voice.prefill))
    return tokens_of(_text(voice, asked, question, index))


def _text(voice: Voice, asked: Question, question: str, index: int) -> str:
    if voice.answer is not None:
        text = voice.answer.replace("{images}", str(asked.images))
        return text if voice.words_per_answer is None else _resized(text, voice.words_per_answer)
    # A question may hold a lone surrogate, which has no bytes of its own.
    seed = f"{voice.seed}/{voice.upstream}/{index}/{question}".encode("utf-8", "surrogatepass")
    luck = random.Random(seed)
    sentences = cycle(luck.sample(_SENTENCES, len(_SENTENCES)))
    least = luck.randint(20, 28) if voice.words_per_answer is None else voice.words_per_answer
    words = f"Simulated answer from {voice.upstream}:".split(" ")
    while len(words) < least:
        words += next(sentences).split()
    return " ".join(words if voice.words_per_answer is None else words[:least])


def _resized(text: str, words: int) -> str:
    given = text.split() or ["word"]
    return " ".join(word for word, _ in zip(cycle(given), range(words), strict=False))


def _usage(voice: Voice, asked: Question, choices: Sequence[Choice]) -> Mapping[str, Any]:
    if voice.usage is not None:
        return voice.usage
    reasoning = sum(len(choice.reasoning) for choice in choices)
    written = sum(len(choice.tokens) + len(choice.refusal) for choice in choices)
    called = sum(len(json.dumps(call.arguments).split()) + 1 for choice in choices for _, call in choice.tool_calls)
    completion = reasoning + written + called
    return {
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": asked.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
