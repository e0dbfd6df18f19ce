"""Anthropic's Messages."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from proxy.simulator.answers import Voice
from proxy.simulator.events import Document, Event, dumps, named
from proxy.simulator.question import BadRequestError, Question, member, objects, reading, text_of, texts, words_of
from proxy.simulator.refusals import Reply, json_reply, wait_headers
from proxy.simulator.wires.anthropic_checks import check
from proxy.simulator.wires.anthropic_messages import blocks_of
from proxy.simulator.wires.wire import (
    Call,
    Exchange,
    Refusal,
    Wire,
    forced,
    fragments,
    only_choice,
    spent,
    told_reason,
)

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


class Block(NamedTuple):
    """One block of a content: as it starts, the deltas that fill it, what is sent last, and how it is in the end
    (asked for late, as an endless text has none)."""

    start: Document
    deltas: Iterable[Document]
    last: Sequence[Document]
    whole: Callable[[], Document]


class Anthropic(Wire):
    """Messages."""

    name = "anthropic"
    pings_are_events = True
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    kinds: Mapping[int, str] = {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
    refusals: Mapping[str, Refusal] = {
        "429": Refusal(
            429, "rate_limit_error", "This request would exceed your organization's rate limit. Please try again later."
        ),
        "unauthorized": Refusal(401, "authentication_error", "invalid x-api-key"),
        "credit": Refusal(402, "billing_error", "Your credit balance is too low to access the Anthropic API."),
        "quota": Refusal(
            429,
            "rate_limit_error",
            "You have reached the spend limit of your organization.",
            {"error_code": "enforced_spend_limit_reached"},
        ),
        "context": Refusal(400, "invalid_request_error", "prompt is too long: {prompt} tokens > {limit} maximum"),
        "content_filter": Refusal(400, "invalid_request_error", "Output blocked by content filtering policy"),
        "unsupported_parameter": Refusal(400, "invalid_request_error", "`{param}` is deprecated for this model."),
        "refuse_prefill": Refusal(400, "invalid_request_error", _PREFILL),
        "model_missing": Refusal(404, "not_found_error", "model: {model}"),
        "overloaded": Refusal(529, "overloaded_error", "Overloaded"),
    }

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = call.document()
        check(asked, version=call.headers.get("anthropic-version", ""))
        tools = [
            {"name": tool["name"], "parameters": tool.get("input_schema")}
            for tool in objects(asked.get("tools"))
            if "input_schema" in tool
        ]
        choice = asked.get("tool_choice")
        schema = member(asked, "output_config", "format", "schema") or member(asked, "output_format", "schema")
        return Question(
            model=asked["model"],
            messages=self.messages(asked),
            stream=asked.get("stream") is True,
            max_tokens=asked["max_tokens"],
            tools=tools,
            forced_tools=forced(
                [str(tool["name"]) for tool in tools],
                wanted=member(choice, "name") if member(choice, "type") == "tool" else None,
                every=member(choice, "type") == "any",
                parallel=member(choice, "disable_parallel_tool_use") is not True,
            ),
            schema=schema if isinstance(schema, dict) else None,
            stops=texts(asked.get("stop_sequences")),
            images=sum(block.get("type") == "image" for block in _shown(asked)),
            reasons=member(asked, "thinking", "type") != "disabled",
            body=asked,
        )

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The turns of a request, readable or not; the results of tools are turns of their own."""
        turns = [{"role": "system", "content": fields["system"]}] if fields.get("system") else []
        for message in objects(fields.get("messages")):
            blocks = blocks_of(message.get("content"))
            results = [block for block in blocks if block.get("type") == "tool_result"]
            if results:
                turns.append({"role": "tool", "content": " ".join(text_of(block) for block in results)})
            if len(results) < len(blocks) or not blocks:
                turns.append({"role": message.get("role"), "content": message.get("content")})
        return turns

    def credentials_missing(self, call: Call) -> BadRequestError | None:
        """The key, and the version of the API."""
        if "x-api-key" not in call.headers and "Authorization" not in call.headers:
            return BadRequestError("x-api-key header is required", None, 401)
        if "anthropic-version" not in call.headers:
            return BadRequestError("anthropic-version: header is required")
        return None

    # Answers.

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        start = _message(exchange)
        return {
            **start,
            "content": [block.whole() for block in _blocks(exchange)],
            **_ending(exchange),
            "usage": _usage(exchange),
        }

    def opening(self, exchange: Exchange) -> Iterator[Event]:
        """The message without content."""
        yield named({"type": "message_start", "message": _message(exchange)})

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """The deltas of one block after the other."""
        before: list[Document] = []
        for index, block in enumerate(_blocks(exchange)):
            before.append({"type": "content_block_start", "index": index, "content_block": block.start})
            if index == 0:
                before.append({"type": "ping"})
            for delta in block.deltas:
                yield tuple(named(one) for one in (*before, _delta(index, delta)))
                before = []
            before += _block_end(index, block)

    def closing(self, exchange: Exchange) -> Iterator[Event]:
        """The end of the last block, why it ended, and the usage."""
        blocks = _blocks(exchange)
        for document in _block_end(len(blocks) - 1, blocks[-1]) if blocks else ():
            yield named(document)
        yield named({"type": "message_delta", "delta": _ending(exchange), "usage": _usage(exchange, final=True)})

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """message_stop."""
        yield named({"type": "message_stop"})

    # Errors.

    def error(self, status: int, kind: str, message: str, details: object = None) -> Document:
        """An error in Anthropic's shape."""
        inner: Document = {"type": kind, "message": message}
        if details:
            inner["details"] = details
        return {"type": "error", "error": inner, "request_id": "req_simulated"}

    def failure_event(self, exchange: Exchange, status: int = 500, code: int | None = None) -> Event:
        """The event that tells of an error inside a stream."""
        told = self.failure(exchange, status)
        return named({"type": told["type"], "error": told["error"]})

    def error_headers(self, status: int, kind: str) -> Mapping[str, str]:
        """Headers of an error beside the content type."""
        return {"Request-Id": "req_simulated"}

    def hints(self, form: str, wait: float, now: float) -> Mapping[str, str]:
        """A wait hint in headers; in whole seconds as Anthropic gives it, beside the reset of the limit."""
        resets = wait_headers("anthropic_reset", wait, now) if form == "seconds" else {}
        return {**wait_headers(form, wait, now), **resets}

    def limit_headers(self, limit: int, remaining: int, reset: float, now: float) -> Mapping[str, str]:
        """Anthropic's headers of a limit of requests."""
        told = wait_headers("anthropic_reset", reset, now)
        counts = {"Limit": str(limit), "Remaining": str(remaining)}
        return {**told, **{f"Anthropic-RateLimit-Requests-{name}": value for name, value in counts.items()}}


def count_message_tokens(call: Call, voice: Voice, now: float) -> Reply:
    """The answer of `count_tokens`."""
    wire = Anthropic()
    try:
        with reading():
            asked = call.document()
            check(asked, counts_only=True)
            total = words_of(wire.messages(asked))
    except BadRequestError as problem:
        return wire.complain(problem)
    return json_reply(200, {"input_tokens": total})


def _shown(asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The blocks of all messages, those within results of tools too."""
    for message in objects(asked.get("messages")):
        for block in blocks_of(message.get("content")):
            yield block
            if block.get("type") == "tool_result":
                yield from objects(block.get("content"))


def signature_of(exchange: Exchange) -> str:
    """What signs the reasoning of an answer."""
    return base64.b64encode(random.Random(exchange.answer.mark).randbytes(48)).decode()


def _message(exchange: Exchange) -> Document:
    """The message before its first word, whose usage is not known yet."""
    usage = {**_usage(exchange), "output_tokens": 1}
    del usage["output_tokens_details"]
    return {
        "id": f"msg_{exchange.answer.mark}",
        "type": "message",
        "role": "assistant",
        "model": exchange.answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _blocks(exchange: Exchange) -> list[Block]:
    choice = only_choice(exchange)
    blocks = []
    if choice.reasoning:
        signature = signature_of(exchange)
        thought = {"type": "thinking", "thinking": "".join(choice.reasoning), "signature": signature}
        deltas: Iterable[Document] = ({"type": "thinking_delta", "thinking": word} for word in choice.reasoning)
        start: Document = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.append(Block(start, deltas, ({"type": "signature_delta", "signature": signature},), lambda: thought))
    if choice.tokens:
        deltas = ({"type": "text_delta", "text": word} for word in choice.tokens)
        blocks.append(
            Block({"type": "text", "text": ""}, deltas, (), lambda: {"type": "text", "text": "".join(choice.tokens)})
        )
    for mark, call in choice.tool_calls:
        start = {"type": "tool_use", "id": f"toolu_{mark}", "name": call.name, "input": {}}
        pieces = ("", *fragments(dumps(call.arguments)))
        deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
        called = {**start, "input": dict(call.arguments)}
        blocks.append(Block(start, deltas, (), partial(dict, called)))
    return blocks


def _delta(index: int, delta: Document) -> Document:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _block_end(index: int, block: Block) -> list[Document]:
    return [*(_delta(index, one) for one in block.last), {"type": "content_block_stop", "index": index}]


def _ending(exchange: Exchange) -> Document:
    choice = only_choice(exchange)
    reason = "stop_sequence" if choice.stopped_by else "refusal" if choice.refusal else told_reason(_STOPS, choice)
    ending: Document = {"stop_reason": reason, "stop_sequence": choice.stopped_by}
    if reason == "refusal":
        explanation = "".join(choice.refusal) or None
        ending["stop_details"] = {"type": "refusal", "category": "general_harms", "explanation": explanation}
    return ending


def _usage(exchange: Exchange, *, final: bool = False) -> Document:
    prompt, cached, completion, thought = spent(exchange)
    usage: Document = {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": completion,
        "output_tokens_details": {"thinking_tokens": thought},
    }
    return usage if final else {**usage, "service_tier": "standard"}
