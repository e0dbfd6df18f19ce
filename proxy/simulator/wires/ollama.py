"""Ollama's own chat: lines of JSON, with calls whose arguments are objects."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from proxy.simulator.answers import Choice
from proxy.simulator.events import NDJSON_TYPE, Document, Event, dumps, ndjson
from proxy.simulator.question import BadRequestError, Question, member, objects, texts
from proxy.simulator.wires.wire import Call, Exchange, Refusal, Wire, only_choice, spent, told_reason

_STOPS = {"stop": "stop", "length": "length", "tool_calls": "stop", "content_filter": "stop"}
_KINDS = {
    list: "array", dict: "object", int: "number", float: "number", bool: "bool", str: "string"
}  # fmt: skip


class OllamaErrors(Wire):
    """How Ollama refuses."""

    kinds: Mapping[int, str] = {400: "", 500: ""}
    refusals: Mapping[str, Refusal] = {
        "429": Refusal(429, "", "you have reached your hourly usage limit, please wait or upgrade to continue"),
        "unauthorized": Refusal(401, "", "unauthorized"),
        "credit": Refusal(402, "", "this model requires a subscription, upgrade for access"),
        "quota": Refusal(429, "", "you have reached your weekly usage limit, please upgrade to continue"),
        "context": Refusal(400, "", "the input length exceeds the context length"),
        "content_filter": Refusal(400, "", "this request was blocked by a content filter"),
        "unsupported_parameter": Refusal(400, "", "invalid option provided: {param}"),
        "refuse_prefill": Refusal(400, "", "the last message must not be from the assistant"),
        "model_missing": Refusal(404, "", 'model "{model}" not found, try pulling it first'),
        "overloaded": Refusal(503, "", "server busy, please try again.  maximum pending requests exceeded"),
    }

    def error(self, status: int, kind: str, message: str, details: object = None) -> Document:
        """A message and nothing else."""
        return {"error": message}

    def credentials_missing(self, call: Call) -> BadRequestError | None:
        """There are none."""
        return None

    def takes_longer_prompts(self, asked: Question) -> bool:
        """It shortens them in silence unless it is told not to."""
        return asked.body.get("truncate") is not False


class Ollama(OllamaErrors):
    """/api/chat."""

    name = "ollama"
    stream_type = NDJSON_TYPE
    speaks_sse = False
    ping = b"\n"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = read_object(call)
        options = asked.get("options") or {}
        messages = asked.get("messages") or []
        _check(messages)
        cap = member(options, "num_predict")
        schema = asked.get("format")
        if isinstance(schema, str) and schema not in {"", "json"}:
            raise BadRequestError(f'invalid format: "{schema}"; expected "json" or a JSON schema', "format")
        return Question(
            model=asked["model"],
            # Without messages a model is only loaded.
            messages=self.messages(asked) or [{"role": "user", "content": ""}],
            stream=self.streams(call),
            max_tokens=cap if isinstance(cap, int) and cap > 0 else None,
            tools=[tool["function"] for tool in objects(asked.get("tools")) if member(tool, "function", "name")],
            schema=schema if isinstance(schema, dict) else {} if schema == "json" else None,
            stops=texts(member(options, "stop")),
            images=sum(len(one.get("images") or ()) for one in messages),
            reasons=asked.get("think") is not False,
            body=asked,
        )

    def streams(self, call: Call) -> bool:
        """It streams unless it is told not to."""
        return call.fields.get("stream") is not False

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The turns of a request, readable or not."""
        return objects(fields.get("messages"))

    def parameters(self, fields: Mapping[str, Any]) -> frozenset[str]:
        """The options too."""
        options = fields.get("options")
        return frozenset(fields) | frozenset(options if isinstance(options, dict) else ())

    # Answers.

    def spell(self, event: Event) -> bytes:
        """A line of JSON."""
        return ndjson(event)

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        choice = only_choice(exchange)
        message: Document = {"content": "" if _loads(exchange) else "".join((*choice.tokens, *choice.refusal))}
        if choice.reasoning:
            message["thinking"] = "".join(choice.reasoning)
        if choice.tool_calls:
            message["tool_calls"] = _calls(choice)
        return _last(exchange, message)

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """A line for each word; the calls in one."""
        choice = only_choice(exchange)
        if _loads(exchange):
            return
        for word in choice.reasoning:
            yield (_line(exchange, {"content": "", "thinking": word}),)
        for word in choice.tokens:
            yield (_line(exchange, {"content": word}),)
        for word in choice.refusal:
            yield (_line(exchange, {"content": word}),)
        if choice.tool_calls:
            yield (_line(exchange, {"content": "", "tool_calls": _calls(choice)}),)

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """The line that is done."""
        yield Event(dumps(_last(exchange, {"content": ""})))


def read_object(call: Call) -> Mapping[str, Any]:
    """The decoded body, with a model. Raises BadRequestError."""
    if not call.body:
        raise BadRequestError("missing request body")
    asked = call.document()
    if not isinstance(asked.get("model"), str) or not asked["model"]:
        raise BadRequestError("model is required", "model")
    return asked


def _check(messages: object) -> None:
    if not isinstance(messages, list):
        raise BadRequestError(_unmarshal(messages, "messages", "[]api.Message"))
    for message in messages:
        if not isinstance(message, dict):
            raise BadRequestError(_unmarshal(message, "messages", "api.Message"))
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise BadRequestError(_unmarshal(content, "messages.content", "string"), "messages")
        for image in message.get("images") or ():
            _check_image(image)
        for call in objects(message.get("tool_calls")):
            arguments = member(call, "function", "arguments")
            if arguments is not None and not isinstance(arguments, dict):
                place, kind = "messages.tool_calls.function.arguments", "api.ToolCallFunctionArguments"
                raise BadRequestError(_unmarshal(arguments, place, kind), "messages")


def _check_image(image: object) -> None:
    try:
        base64.b64decode(str(image), validate=True)
    except binascii.Error:
        raise BadRequestError("illegal base64 data at input byte 0", "messages") from None


def _unmarshal(value: object, place: str, kind: str) -> str:
    told = _KINDS.get(type(value), "value")
    return f"json: cannot unmarshal {told} into Go struct field ChatRequest.{place} of type {kind}"


def _loads(exchange: Exchange) -> bool:
    """Whether no more is asked than to load or unload a model."""
    return not exchange.asked.body.get("messages")


def _calls(choice: Choice) -> list[Document]:
    return [
        {"id": f"call_{mark[:8]}", "function": {"index": number, "name": call.name, "arguments": dict(call.arguments)}}
        for number, (mark, call) in enumerate(choice.tool_calls)
    ]


def _line(exchange: Exchange, message: Document) -> Event:
    return Event(dumps({**_head(exchange), "message": {"role": "assistant", **message}, "done": False}))


def _head(exchange: Exchange) -> Document:
    return {"model": exchange.answer.model, "created_at": told_time(exchange.answer.created)}


def told_time(seconds: float) -> str:
    """Unix time as Ollama writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def durations(words: int) -> Document:
    """Nanoseconds that a model with warm feet would have taken."""
    return {"total_duration": (words + 2) * 20_000_000, "load_duration": 1_000_000}


def _last(exchange: Exchange, message: Document) -> Document:
    prompt, _, completion, _ = spent(exchange)
    last = {**_head(exchange), "message": {"role": "assistant", **message}, "done": True}
    if _loads(exchange):
        return {**last, "done_reason": "unload" if exchange.asked.body.get("keep_alive") == 0 else "load"}
    return {
        **last,
        "done_reason": told_reason(_STOPS, only_choice(exchange)),
        **durations(completion),
        "prompt_eval_count": prompt,
        "prompt_eval_duration": 20_000_000,
        "eval_count": completion,
        "eval_duration": completion * 20_000_000,
    }
