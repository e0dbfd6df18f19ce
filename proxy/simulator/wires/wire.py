"""What every language of the simulated upstreams has: a reader of requests, shapes of answers, and its own errors.

A *beat* is the events that one word of the answer takes: one event with content, and before it whatever its language
wants said first. Faults that strike `after` some words count beats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from proxy.simulator.answers import Answer, Choice
from proxy.simulator.events import SSE_TYPE, Document, Event, dumps, encoded, sse
from proxy.simulator.faults import Fault
from proxy.simulator.question import BadRequestError, Question, decoded_object, parse_json, reading, words_of
from proxy.simulator.refusals import Reply, json_reply, wait_headers


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a path that is known."""

    method: str
    path: str
    """Without the query."""
    groups: Mapping[str, str]
    """What the path names: a model, a deployment."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def fields(self) -> Mapping[str, Any]:
        """The decoded body; empty when it is no JSON object."""
        decoded = parse_json(self.body)
        return decoded if isinstance(decoded, dict) else {}

    def document(self) -> Mapping[str, Any]:
        """The decoded body. Raises BadRequestError when it is no JSON object."""
        return decoded_object(self.body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a script speaks about: the answer that is due, its language, and the pace of it (in seconds)."""

    wire: Wire
    asked: Question
    answer: Answer
    upstream: str
    pace: float = 0.0
    first_token_delay: float = 0.0
    seed: int = 0

    @property
    def stream(self) -> bool:
        """Whether the answer is a stream."""
        return self.asked.stream

    def body(self) -> bytes:
        """The JSON answer."""
        return encoded(dumps(self.wire.document(self)))

    def thinking_time(self) -> float:
        """Seconds until a JSON answer is ready."""
        return self.first_token_delay + self.pace * sum(len(choice.tokens) for choice in self.answer.choices)


class Refusal(NamedTuple):
    """How one refusal is told: status, the language's own name for its kind, and the message.

    The message may name `{model}`, `{param}`, `{limit}` and `{prompt}` (the tokens of the prompt).
    """

    status: int
    kind: str
    message: str
    details: Sequence[Document] | Document | None = None


class Wire(ABC):
    """One language of upstreams."""

    name: str
    stream_type: Mapping[str, str] = SSE_TYPE
    speaks_sse: bool = True
    """Whether its streams are server-sent events, which may be spelled in several ways."""
    ping: bytes = b": keep-alive\n\n"
    """What keeps a silent stream alive; empty where the language has nothing for that."""
    pings_are_events: bool = False
    """Whether that is an event, which comes after the opening."""
    refusals: Mapping[str, Refusal] = {}
    """How the faults of the scope `refusal` are told, by their names."""
    kinds: Mapping[int, str] = {}
    """The names of errors by status."""

    # Requests.

    @abstractmethod
    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""

    @abstractmethod
    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The turns of a request, as in `Question.messages`."""

    def turns(self, call: Call) -> Sequence[Mapping[str, Any]]:
        """The turns of a request; none where it cannot be read."""
        try:
            with reading():
                return self.messages(call.fields)
        except BadRequestError:
            return ()

    def streams(self, call: Call) -> bool:
        """Whether a request, readable or not, asks for a stream."""
        return call.fields.get("stream") is True

    def parameters(self, fields: Mapping[str, Any]) -> frozenset[str]:
        """The names of what a request sets, also where its language keeps them in an object of their own."""
        return frozenset(fields)

    def credentials_missing(self, call: Call) -> BadRequestError | None:
        """What to answer to a request without the headers that its language wants; None if it has them."""
        if any(name in call.headers for name in ("Authorization", "api-key", "x-api-key")):
            return None
        return BadRequestError("You didn't provide an API key.", None, 401)

    def takes_longer_prompts(self, asked: Question) -> bool:
        """Whether a prompt beyond the context window is answered all the same."""
        return False

    # Answers.

    @abstractmethod
    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""

    def spell(self, event: Event) -> bytes:
        """The bytes of one event."""
        return sse(event)

    def opening(self, exchange: Exchange) -> Iterator[Event]:
        """What is sent before any content."""
        return iter(())

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """The content, word by word."""
        return iter(())

    def closing(self, exchange: Exchange) -> Iterator[Event]:
        """What is sent after the content, up to the marker that all was said."""
        return iter(())

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """The marker that all was said."""
        return iter(())

    # Errors.

    @abstractmethod
    def error(self, status: int, kind: str, message: str, details: object = None) -> Document:
        """The body of an error."""

    def kind_of(self, status: int) -> str:
        """The name of errors of a status."""
        return self.kinds.get(status, self.kinds[500 if status >= 500 else 400])

    def failure(self, exchange: Exchange, status: int = 500) -> Document:
        """The JSON document that tells of an error inside a 200; `status` is what it would have been."""
        return self.error(status, self.kind_of(status), broken_message(exchange.upstream))

    def failure_event(self, exchange: Exchange, status: int = 500, code: int | None = None) -> Event:
        """The event that tells of an error inside a stream; `code` where the language has codes."""
        return Event(dumps(self.failure(exchange, status)))

    def error_headers(self, status: int, kind: str) -> Mapping[str, str]:
        """Headers of an error beside the content type."""
        return {}

    def hints(self, form: str, wait: float, now: float) -> Mapping[str, str]:
        """A wait hint in headers; `form` as in a fault."""
        return wait_headers(form, wait, now)

    def limit_headers(self, limit: int, remaining: int, reset: float, now: float) -> Mapping[str, str]:
        """The headers that tell of a limit of requests; empty where the provider has none."""
        return {}

    def refuse(self, fault: Fault, call: Call, now: float) -> Reply:
        """The reply of a fault of the scope `refusal`; `now` is Unix time."""
        if fault.limit and fault.form == "openai_reset":
            # What `low_headroom` comes to; others than OpenAI tell it in their own way.
            fault = replace(fault, form="seconds")
        plain = Refusal(
            fault.status, self.kind_of(fault.status), f"Simulated fault: this upstream answers {fault.status}."
        )
        row = self.refusals.get(fault.name, plain)
        message = row.message.format(
            model=self.model_of(call), param=fault.param, limit=fault.limit or 8192, prompt=self._prompt(fault, call)
        )
        document = self.error(row.status, row.kind, message, self.details_of(row, fault))
        headers = {**self.error_headers(row.status, row.kind), **self._hinted(fault, now)}
        return json_reply(row.status, document, headers)

    def details_of(self, row: Refusal, fault: Fault) -> object:
        """What an error tells beside its message."""
        return row.details

    def complain(self, problem: BadRequestError) -> Reply:
        """The reply to a request that cannot be answered."""
        kind = self.kind_of(problem.status)
        document = self.error(problem.status, kind, str(problem))
        return json_reply(problem.status, document, self.error_headers(problem.status, kind))

    def model_of(self, call: Call) -> str:
        """The model that a request names, readable or not."""
        return str(call.groups.get("model") or call.fields.get("model") or "unknown")

    def _hinted(self, fault: Fault, now: float) -> Mapping[str, str]:
        wait = default_wait(fault)
        if wait is None:
            return {}
        told = self.limit_headers(fault.limit, 0, wait, now) if fault.limit else {}
        return {**self.hints(fault.form, wait, now), **told}

    def _prompt(self, fault: Fault, call: Call) -> int:
        return max(words_of(self.turns(call)), (fault.limit or 8192) + 1)


def default_wait(fault: Fault) -> float | None:
    """The seconds that a refusal hints to wait; None for no hint."""
    if fault.name == "429" and fault.retry_after is None:
        return 2.0
    return fault.retry_after if fault.name in {"429", "status", "overloaded"} else None


def broken_message(upstream: str) -> str:
    """What the errors inside a 200 say."""
    return f"Simulated fault: {upstream} had an error while answering."


def fragments(text: str, size: int = 12) -> Iterable[str]:
    """The pieces that tool arguments are streamed in."""
    return (text[start : start + size] for start in range(0, len(text), size))


def spent(exchange: Exchange) -> tuple[int, int, int, int]:
    """The usage: prompt, cached prompt, completion and reasoning tokens."""
    usage = exchange.answer.usage

    def number(value: object) -> int:
        return value if isinstance(value, int) else 0

    details = usage.get("prompt_tokens_details") or {}
    thought = usage.get("completion_tokens_details") or {}
    return (
        number(usage.get("prompt_tokens")),
        number(details.get("cached_tokens")),
        number(usage.get("completion_tokens")),
        number(thought.get("reasoning_tokens")),
    )


def only_choice(exchange: Exchange) -> Choice:
    """The answer in languages that have no alternatives."""
    return exchange.answer.choices[0]


def told_reason(names: Mapping[str, str], choice: Choice) -> str:
    """Why an answer ended, in a language's own word; one that is no word of the simulator is told as it is."""
    return names.get(choice.finish_reason, choice.finish_reason)


def forced(names: Sequence[str], *, wanted: str | None, every: bool, parallel: bool = True) -> list[str]:
    """The tools that must be called: the `wanted` one, or with `every` the first two, one if not `parallel`."""
    if wanted is not None:
        return [wanted]
    return list(names[: 2 if parallel else 1]) if every else []
