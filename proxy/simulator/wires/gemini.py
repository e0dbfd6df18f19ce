"""Google's Gemini."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from proxy.simulator.answers import Choice, Voice
from proxy.simulator.events import Document, Event, dumps, sse_crlf
from proxy.simulator.faults import Fault
from proxy.simulator.question import BadRequestError, Question, member, objects, reading, texts, words_of
from proxy.simulator.refusals import Reply, json_reply
from proxy.simulator.wires.gemini_checks import camel, check, signs_calls
from proxy.simulator.wires.wire import Call, Exchange, Refusal, Wire, default_wait, forced, spent, told_reason

_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_RPC = "type.googleapis.com/google.rpc."
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_SYSTEM_ROLES = {"model": "assistant", "user": "user", "function": "user"}


class Gemini(Wire):
    """generateContent."""

    name = "gemini"
    kinds: Mapping[int, str] = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
    refusals: Mapping[str, Refusal] = {
        "429": Refusal(429, "RESOURCE_EXHAUSTED", _QUOTA),
        "unauthorized": Refusal(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            {"@type": _RPC + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},
        ),
        "credit": Refusal(
            400, "FAILED_PRECONDITION", "This API method requires billing to be enabled. Please enable billing."
        ),
        "quota": Refusal(429, "RESOURCE_EXHAUSTED", _QUOTA),
        "context": Refusal(
            400,
            "INVALID_ARGUMENT",
            "The input token count ({prompt}) exceeds the maximum number of tokens allowed ({limit}).",
        ),
        "unsupported_parameter": Refusal(
            400,
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. Unknown name \"{param}\" at 'generation_config': Cannot find field.",
        ),
        "refuse_prefill": Refusal(400, "INVALID_ARGUMENT", "Requests ending with a model turn are not supported."),
        "model_missing": Refusal(
            404,
            "NOT_FOUND",
            "models/{model} is not found for API version v1beta, or is not supported for generateContent.",
        ),
        "overloaded": Refusal(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    }

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = camel(call.document())
        model = call.groups["model"]
        check(asked, model)
        config = asked.get("generationConfig") or {}
        tools = list(_declared(asked))
        return Question(
            model=model,
            messages=self.messages(asked),
            stream=self.streams(call),
            choices=config.get("candidateCount") or 1,
            max_tokens=config.get("maxOutputTokens"),
            tools=tools,
            forced_tools=_forced(asked, [str(tool["name"]) for tool in tools]),
            schema=_schema(config),
            stops=texts(config.get("stopSequences")),
            images=sum(_is_image(part) for part in _parts(asked)),
            reasons=member(config, "thinkingConfig", "includeThoughts") is not False,
            body=asked,
        )

    def streams(self, call: Call) -> bool:
        """The path says so."""
        return False

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The turns of a request, readable or not; the results of tools are turns of their own."""
        fields = camel(fields)
        system = member(fields, "systemInstruction", "parts")
        turns = [{"role": "system", "content": system}] if system else []
        for content in objects(fields.get("contents")):
            parts = objects(content.get("parts"))
            results = [member(part, "functionResponse", "response") for part in parts if "functionResponse" in part]
            if results:
                turns.append({"role": "tool", "content": dumps(results)})
            said = [part for part in parts if "functionResponse" not in part and not part.get("thought")]
            if said or not results:
                turns.append({"role": _SYSTEM_ROLES.get(str(content.get("role", "user"))), "content": said})
        return turns

    def parameters(self, fields: Mapping[str, Any]) -> frozenset[str]:
        """Those of the generation too."""
        config = fields.get("generationConfig", fields.get("generation_config"))
        inner = config if isinstance(config, dict) else {}
        return frozenset(name for one in (fields, inner) for name in (*one, *camel(dict.fromkeys(one))))

    def credentials_missing(self, call: Call) -> BadRequestError | None:
        """The key, in a header or in the query."""
        if any(name in call.headers for name in ("x-goog-api-key", "Authorization")) or "key" in call.query:
            return None
        return BadRequestError(
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
            "other form of API consumer identity to call this API.",
            None,
            403,
        )

    # Answers.

    def spell(self, event: Event) -> bytes:
        """Gemini ends its lines with CRLF."""
        return sse_crlf(event)

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        candidates = [
            _candidate(index, list(_parts_of(exchange, choice)), choice)
            for index, choice in enumerate(exchange.answer.choices)
        ]
        return _response(exchange, candidates, None)

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """One part after the other, the candidates taking turns; a call is told whole."""
        turns = zip_longest(*(_pieces_of(exchange, choice) for choice in exchange.answer.choices))
        said = 0
        for turn in turns:
            for index, part in enumerate(turn):
                if part is not None:
                    said += 1
                    yield (Event(dumps(_response(exchange, [_candidate(index, [part])], said))),)

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """The chunk that says why it ended; there is no other marker."""
        candidates = [
            _candidate(index, [{"text": ""}] if choice.tokens else [], choice)
            for index, choice in enumerate(exchange.answer.choices)
        ]
        yield Event(dumps(_response(exchange, candidates, None)))

    # Errors.

    def error(self, status: int, kind: str, message: str, details: object = None) -> Document:
        """An error in Google's shape."""
        shape: Document = {"code": status, "message": message, "status": kind}
        return {"error": {**shape, "details": details} if details else shape}

    def refuse(self, fault: Fault, call: Call, now: float) -> Reply:
        """The reply of a fault of the scope `refusal`; a filtered prompt is answered with a 200 without candidates."""
        if fault.name != "content_filter":
            return super().refuse(fault, call, now)
        usage = {"promptTokenCount": words_of(self.turns(call))}
        blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage}
        if not self.streams(call):
            return json_reply(200, blocked)
        return Reply(200, self.spell(Event(dumps(blocked))), self.stream_type)

    def details_of(self, row: Refusal, fault: Fault) -> object:
        """The quota that is used up, and how long to wait for it."""
        if fault.name not in {"429", "quota"}:
            return [row.details] if row.details else None
        window = "PerMinute" if fault.name == "429" else "PerDay"
        quota = {"quotaId": f"GenerateRequests{window}PerProjectPerModel-FreeTier"}
        details: list[Document] = [{"@type": _RPC + "QuotaFailure", "violations": [quota]}]
        wait = default_wait(fault)
        if wait is not None and fault.form in {"seconds", "gemini"}:
            details.append({"@type": _RPC + "RetryInfo", "retryDelay": f"{wait:g}s"})
        return details

    def hints(self, form: str, wait: float, now: float) -> Mapping[str, str]:
        """In headers only on demand, as Google hints in the body."""
        return {} if form == "seconds" else super().hints(form, wait, now)


class GeminiStream(Gemini):
    """streamGenerateContent."""

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        if call.query.get("alt") != "sse":
            raise BadRequestError("This upstream is simulated and streams only with alt=sse.")
        return super().read(call)

    def streams(self, call: Call) -> bool:
        """The path says so."""
        return True


def count_content_tokens(call: Call, voice: Voice, now: float) -> Reply:
    """The answer of `countTokens`."""
    wire = Gemini()
    try:
        with reading():
            asked = camel(call.document())
            asked = asked.get("generateContentRequest") or asked
            check(asked, call.groups["model"])
            total = words_of(wire.messages(asked))
    except BadRequestError as problem:
        return wire.complain(problem)
    details = [{"modality": "TEXT", "tokenCount": total}]
    return json_reply(200, {"totalTokens": total, "promptTokensDetails": details})


# Requests.


def _parts(asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for content in objects(asked.get("contents")):
        yield from objects(content.get("parts"))


def _is_image(part: Mapping[str, Any]) -> bool:
    kinds = (member(part, "inlineData", "mimeType"), member(part, "fileData", "mimeType"))
    return any(str(kind).startswith("image/") for kind in kinds)


def _declared(asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for tool in objects(asked.get("tools")):
        for one in objects(tool.get("functionDeclarations")):
            schema = one.get("parametersJsonSchema") or plain_schema(one.get("parameters"))
            yield {"name": one["name"], "parameters": schema}


def plain_schema(schema: Any) -> Any:
    """One of Gemini's own schemas as a JSON schema, with types in small letters."""
    if isinstance(schema, list):
        return [plain_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: plain_schema(value) for name, value in schema.items()}
    if isinstance(plain.get("type"), str):
        plain["type"] = plain["type"].lower()
    return plain


def _forced(asked: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    config = member(asked, "toolConfig", "functionCallingConfig") or {}
    allowed = config.get("allowedFunctionNames") or names
    return forced(allowed, wanted=None, every=str(config.get("mode", "AUTO")).upper() == "ANY")


def _schema(config: Mapping[str, Any]) -> object:
    if config.get("responseMimeType") != "application/json":
        return None
    own = config.get("responseJsonSchema")
    schema = own if isinstance(own, dict) else plain_schema(config.get("responseSchema"))
    return schema if isinstance(schema, dict) else {}


# Answers.


def _parts_of(exchange: Exchange, choice: Choice) -> Iterator[Document]:
    """The parts of a whole answer."""
    if choice.reasoning:
        yield {"text": "".join(choice.reasoning), "thought": True}
    if choice.tokens:
        yield {"text": "".join(choice.tokens)}
    yield from _calls(exchange, choice)


def _pieces_of(exchange: Exchange, choice: Choice) -> Iterator[Document]:
    """The parts of a stream."""
    for word in choice.reasoning:
        yield {"text": word, "thought": True}
    for word in choice.tokens:
        yield {"text": word}
    yield from _calls(exchange, choice)


def _calls(exchange: Exchange, choice: Choice) -> Iterator[Document]:
    for number, (mark, call) in enumerate(choice.tool_calls):
        shape: Document = {"name": call.name, "args": dict(call.arguments)}
        if signs_calls(exchange.answer.model):
            shape["id"] = mark[:8]
        part: Document = {"functionCall": shape}
        if number == 0:
            part["thoughtSignature"] = base64.b64encode(random.Random(mark).randbytes(48)).decode()
        yield part


def _candidate(index: int, parts: list[Document], ended: Choice | None = None) -> Document:
    content: Document = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate: Document = {"content": content, "index": index}
    if ended is not None:
        candidate["finishReason"] = "SAFETY" if ended.refusal else told_reason(_STOPS, ended)
        if ended.refusal:
            candidate["finishMessage"] = "".join(ended.refusal)
    return candidate


def _response(exchange: Exchange, candidates: list[Document], said: int | None) -> Document:
    """One response or chunk; `said` parts were told so far, None for all."""
    prompt, cached, completion, thought = spent(exchange)
    written = completion - thought
    if said is not None:
        thought, written = min(said, thought), max(0, min(said - thought, written))
    usage: Document = {"promptTokenCount": prompt, "candidatesTokenCount": written}
    if cached:
        usage["cachedContentTokenCount"] = cached
    if thought:
        usage["thoughtsTokenCount"] = thought
    usage["totalTokenCount"] = prompt + written + thought
    model, mark = exchange.answer.model, exchange.answer.mark
    return {"candidates": candidates, "usageMetadata": usage, "modelVersion": model, "responseId": mark}
