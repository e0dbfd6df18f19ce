"""Amazon Bedrock's Converse, whose streams are binary frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxy.simulator.events import Document, Event, dumps, encoded
from proxy.simulator.question import BadRequestError, Question, member, objects, parse_json, texts
from proxy.simulator.wires.anthropic import signature_of
from proxy.simulator.wires.bedrock_checks import check
from proxy.simulator.wires.frames import frame
from proxy.simulator.wires.wire import (
    Call,
    Exchange,
    Refusal,
    Wire,
    broken_message,
    forced,
    fragments,
    only_choice,
    spent,
    told_reason,
)

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}
_MODEL_ERROR = "The model returned the following errors: "
_EXCEPTION = "Exception"
"""How the names of the frames end that tell of an error."""


class Bedrock(Wire):
    """converse."""

    name = "bedrock"
    stream_type: Mapping[str, str] = {"Content-Type": "application/vnd.amazon.eventstream"}
    speaks_sse = False
    ping = b""
    kinds: Mapping[int, str] = {
        400: "ValidationException",
        401: "UnrecognizedClientException",
        403: "AccessDeniedException",
        404: "ResourceNotFoundException",
        408: "ModelTimeoutException",
        424: "ModelErrorException",
        429: "ThrottlingException",
        500: "InternalServerException",
        503: "ServiceUnavailableException",
    }
    refusals: Mapping[str, Refusal] = {
        "429": Refusal(
            429,
            "ThrottlingException",
            "Too many requests, please wait before trying again.",
        ),
        "unauthorized": Refusal(
            403, "UnrecognizedClientException", "The security token included in the request is invalid."
        ),
        "credit": Refusal(
            403,
            "AccessDeniedException",
            "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided.",
        ),
        "quota": Refusal(400, "ServiceQuotaExceededException", "Your request exceeds the quota of your account."),
        "context": Refusal(400, "ValidationException", "Input is too long for requested model."),
        "content_filter": Refusal(
            400, "ValidationException", _MODEL_ERROR + "Output blocked by content filtering policy"
        ),
        "unsupported_parameter": Refusal(
            400, "ValidationException", _MODEL_ERROR + "`{param}` is deprecated for this model."
        ),
        "refuse_prefill": Refusal(
            400,
            "ValidationException",
            _MODEL_ERROR + "This model does not support assistant message prefill. The conversation must end with a "
            "user message.",
        ),
        "model_missing": Refusal(404, "ResourceNotFoundException", "Could not resolve the model {model}."),
        "overloaded": Refusal(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    }

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = call.document()
        model = call.groups["model"]
        check(asked, model)
        tools = [
            {"name": tool["toolSpec"]["name"], "parameters": member(tool, "toolSpec", "inputSchema", "json")}
            for tool in objects(member(asked, "toolConfig", "tools"))
            if "toolSpec" in tool
        ]
        choice = member(asked, "toolConfig", "toolChoice")
        cap = member(asked, "inferenceConfig", "maxTokens")
        return Question(
            model=model,
            messages=self.messages(asked),
            stream=self.streams(call),
            max_tokens=cap if isinstance(cap, int) and cap > 0 else None,
            tools=tools,
            forced_tools=forced(
                [str(tool["name"]) for tool in tools],
                wanted=member(choice, "tool", "name"),
                every=member(choice, "any") is not None,
            ),
            schema=_schema(asked),
            stops=texts(member(asked, "inferenceConfig", "stopSequences")),
            images=sum("image" in block for one in asked["messages"] for block in objects(one.get("content"))),
            reasons=member(asked, "additionalModelRequestFields", "thinking", "type") != "disabled",
            body=asked,
        )

    def streams(self, call: Call) -> bool:
        """The path says so."""
        return False

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The turns of a request, readable or not; the results of tools are turns of their own."""
        turns = [{"role": "system", "content": fields["system"]}] if fields.get("system") else []
        for message in objects(fields.get("messages")):
            blocks = objects(message.get("content"))
            results = [member(block, "toolResult", "content") for block in blocks if "toolResult" in block]
            if results:
                turns.append({"role": "tool", "content": dumps(results)})
            if len(results) < len(blocks) or not blocks:
                turns.append({"role": message.get("role"), "content": blocks})
        return turns

    def parameters(self, fields: Mapping[str, Any]) -> frozenset[str]:
        """Those of the inference and of the model too."""
        inner = (fields.get("inferenceConfig"), fields.get("additionalModelRequestFields"))
        return frozenset(fields).union(*(one for one in inner if isinstance(one, dict)))

    def credentials_missing(self, call: Call) -> BadRequestError | None:
        """A signature or a bearer key."""
        if "Authorization" in call.headers:
            return None
        return BadRequestError("Missing Authentication Token", None, 403)

    # Answers.

    def spell(self, event: Event) -> bytes:
        """One frame."""
        name = event.name or ""
        kind = "exception" if name.endswith(_EXCEPTION) else "event"
        headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
        return frame(headers, encoded(event.data))

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        content = list(_blocks(exchange))
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _stop_reason(exchange),
            **_metadata(exchange),
        }

    def opening(self, exchange: Exchange) -> Iterator[Event]:
        """The role."""
        yield _event("messageStart", {"role": "assistant"})

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """The deltas of one block after the other; only calls have a start."""
        before: list[Event] = []
        for index, (start, deltas) in enumerate(_streamed(exchange)):
            if start is not None:
                before.append(_event("contentBlockStart", {"start": start, "contentBlockIndex": index}))
            for delta in deltas:
                yield (*before, _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": index}))
                before = []
            before.append(_event("contentBlockStop", {"contentBlockIndex": index}))

    def closing(self, exchange: Exchange) -> Iterator[Event]:
        """The end of the last block."""
        count = len(_streamed(exchange))
        if count:
            yield _event("contentBlockStop", {"contentBlockIndex": count - 1})

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """Why it ended, and the usage."""
        yield _event("messageStop", {"stopReason": _stop_reason(exchange)})
        yield _event("metadata", _metadata(exchange))

    # Errors.

    def error(self, status: int, kind: str, message: str, details: object = None) -> Document:
        """A message; the kind is a header."""
        return {"message": message}

    def failure_event(self, exchange: Exchange, status: int = 500, code: int | None = None) -> Event:
        """The frame that tells of an error inside a stream."""
        kind = self.kind_of(status)
        told: Document = {"message": broken_message(exchange.upstream)}
        if status == 424:
            kind, told["originalStatusCode"] = "ModelStreamErrorException", 500
        return Event(dumps(told), kind[0].lower() + kind[1:])

    def error_headers(self, status: int, kind: str) -> Mapping[str, str]:
        """The kind of the error."""
        told = f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"
        return {"x-amzn-ErrorType": told, "x-amzn-RequestId": "00000000-0000-4000-8000-000000000000"}


class BedrockStream(Bedrock):
    """converse-stream."""

    def streams(self, call: Call) -> bool:
        """The path says so."""
        return True


def _schema(asked: Mapping[str, Any]) -> object:
    text = member(asked, "outputConfig", "textFormat", "structure", "jsonSchema", "schema")
    schema = parse_json(text.encode()) if isinstance(text, str) else None
    return schema if isinstance(schema, dict) else None


def _event(name: str, document: Document) -> Event:
    # Amazon pads its frames so that their length tells nothing.
    return Event(dumps({**document, "p": "abcdefgh"}), name)


def _blocks(exchange: Exchange) -> Iterator[Document]:
    """The blocks of a whole answer."""
    choice = only_choice(exchange)
    if choice.reasoning:
        told = {"text": "".join(choice.reasoning), "signature": signature_of(exchange)}
        yield {"reasoningContent": {"reasoningText": told}}
    said = "".join((*choice.tokens, *choice.refusal))
    if said:
        yield {"text": said}
    for mark, call in choice.tool_calls:
        yield {"toolUse": {"toolUseId": f"tooluse_{mark}", "name": call.name, "input": dict(call.arguments)}}


def _streamed(exchange: Exchange) -> list[tuple[Document | None, Iterable[Document]]]:
    """The start and the deltas of each block."""
    choice = only_choice(exchange)
    blocks: list[tuple[Document | None, Iterable[Document]]] = []
    if choice.reasoning:
        told: list[Document] = [{"reasoningContent": {"text": word}} for word in choice.reasoning]
        blocks.append((None, [*told, {"reasoningContent": {"signature": signature_of(exchange)}}]))
    if choice.tokens or choice.refusal:
        blocks.append((None, ({"text": word} for word in choice.tokens or choice.refusal)))
    for mark, call in choice.tool_calls:
        pieces = fragments(dumps(call.arguments))
        start = {"toolUse": {"toolUseId": f"tooluse_{mark}", "name": call.name}}
        blocks.append((start, ({"toolUse": {"input": piece}} for piece in pieces)))
    return blocks


def _stop_reason(exchange: Exchange) -> str:
    choice = only_choice(exchange)
    if choice.refusal:
        return "content_filtered"
    return "stop_sequence" if choice.stopped_by else told_reason(_STOPS, choice)


def _metadata(exchange: Exchange) -> Document:
    prompt, cached, completion, _ = spent(exchange)
    usage = {
        "inputTokens": prompt - cached,
        "outputTokens": completion,
        "totalTokens": prompt + completion,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": 0,
    }
    return {"usage": usage, "metrics": {"latencyMs": 1}}
