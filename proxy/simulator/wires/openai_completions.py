"""OpenAI's old completions: a prompt goes on as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from proxy.simulator.answers import Choice
from proxy.simulator.events import DONE, Document, Event, dumps
from proxy.simulator.question import BadRequestError, Question, texts
from proxy.simulator.wires.openai_chat import include_usage, positive, read_model
from proxy.simulator.wires.openai_errors import OpenAIWire
from proxy.simulator.wires.vectors import inputs_of
from proxy.simulator.wires.wire import Call, Exchange

_DEFAULT_CAP = 16


class OpenAICompletions(OpenAIWire):
    """/v1/completions."""

    name = "openai_completions"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = call.document()
        stream = asked.get("stream") is True
        prompts = inputs_of(asked.get("prompt", "<|endoftext|>"))
        if not prompts:
            raise BadRequestError("Invalid type for 'prompt': expected a string or an array of them.", "prompt")
        return Question(
            model=call.groups.get("model") or read_model(asked),
            messages=[{"role": "user", "content": prompt} for prompt in prompts],
            stream=stream,
            include_usage=include_usage(asked, stream=stream),
            choices=(positive(asked, "n", 128) or 1) * len(prompts),
            max_tokens=positive(asked, "max_tokens") or _DEFAULT_CAP,
            stops=texts(asked.get("stop")),
            reasons=False,
            body=asked,
        )

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The prompts."""
        return [{"role": "user", "content": prompt} for prompt in inputs_of(fields.get("prompt"))]

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        choices = [
            _choice(index, "".join(_words(choice)), choice.finish_reason)
            for index, choice in enumerate(exchange.answer.choices)
        ]
        return {**_head(exchange), "choices": choices, "usage": dict(exchange.answer.usage)}

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """One chunk for each word, the choices taking turns."""
        for turn in zip_longest(*(iter(_words(choice)) for choice in exchange.answer.choices)):
            yield from (
                (_chunk(exchange, _choice(index, word)),) for index, word in enumerate(turn) if word is not None
            )

    def closing(self, exchange: Exchange) -> Iterator[Event]:
        """The finish of each choice, and the usage if it was asked for."""
        for index, choice in enumerate(exchange.answer.choices):
            yield _chunk(exchange, _choice(index, "", choice.finish_reason))
        if exchange.asked.include_usage:
            yield _chunk(exchange, usage=dict(exchange.answer.usage))

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """[DONE]."""
        yield Event(DONE)


def _words(choice: Choice) -> Sequence[str]:
    return choice.refusal or choice.tokens


def _choice(index: int, text: str, finish_reason: str | None = None) -> Document:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}


def _head(exchange: Exchange) -> Document:
    answer = exchange.answer
    shape = {"id": f"cmpl-{answer.mark}", "object": "text_completion", "created": answer.created, "model": answer.model}
    return {**shape, "system_fingerprint": "fp_simulated"}


def _chunk(exchange: Exchange, *choices: Document, usage: object = None) -> Event:
    shape = {**_head(exchange), "choices": list(choices)}
    return Event(dumps({**shape, "usage": usage} if exchange.asked.include_usage else shape))
