"""OpenAI's SDK, at each of its endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import openai

from proxy.core.wire import Wire
from tests.conformance.matrix.client import CITY, PIXEL, TOOLS, TRIP, Ask, Call, Heard

_IMAGE = f"data:image/png;base64,{PIXEL}"
_QUESTION = "How is the river?"
_OF_THE_ASYNC = frozenset({"text", "tools", "cut", "broken", "rate_limited"})
_OF_THE_HELPERS = _OF_THE_ASYNC | {
    "length",
    "one_call",
    "thoughtful_tools",
    "moved",
    "structured",
    "refusal",
    "filtered",
    "empty",
    "tools_cut",
}


class Chat:
    """Chat completions."""

    wire = Wire.CHAT
    only: frozenset[str] | None = None
    cannot: Mapping[str, str] = {}
    finishes: Mapping[str, str] = {
        "stop": "stop",
        "length": "length",
        "tools": "tool_calls",
        "refusal": "content_filter",
    }

    def __init__(self, url: str, *, streams: bool = False, at_once: bool = True) -> None:
        """`at_once` is the plain client, else the asynchronous one."""
        self.name = f"chat{'' if at_once else ', async'}{', stream' if streams else ''}"
        self.streams = streams
        self.only = None if at_once else _OF_THE_ASYNC
        self._runner = None if at_once else asyncio.Runner()
        made: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": "unused", "max_retries": 0}
        self._plain = openai.OpenAI(**made)
        self._async = openai.AsyncOpenAI(**made)

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        return self._ask(_chat_body(model, asked, streams=self.streams))

    def _ask(self, body: dict[str, Any]) -> Heard:
        if self._runner is not None:
            return self._runner.run(self._ask_async(body))
        raw = self._plain.chat.completions.with_raw_response.create(**body)
        return self._heard(raw.headers, list(raw.parse()) if self.streams else raw.parse())

    async def _ask_async(self, body: dict[str, Any]) -> Heard:
        raw = await self._async.chat.completions.with_raw_response.create(**body)
        parsed = raw.parse()
        return self._heard(raw.headers, [chunk async for chunk in parsed] if self.streams else parsed)

    def _heard(self, headers: Mapping[str, str], answer: Any) -> Heard:
        return _chat_chunks(headers, answer) if self.streams else _chat_answer(headers, answer)


class ChatHelper(Chat):
    """`parse`, which wants structured output, and `stream`, which puts the chunks together."""

    def __init__(self, url: str, *, streams: bool = False) -> None:
        super().__init__(url, streams=streams)
        self.only = _OF_THE_HELPERS
        self.name = "chat helper, stream" if streams else "chat helper, parse"

    def _ask(self, body: dict[str, Any]) -> Heard:
        body.pop("stream", None)
        if not self.streams:
            raw = self._plain.chat.completions.with_raw_response.parse(**body)
            try:
                return _chat_answer(raw.headers, raw.parse())
            except openai.LengthFinishReasonError as error:
                # What was cut short cannot be parsed, which the SDK says in this way.
                return _chat_answer(raw.headers, error.completion)
            except openai.ContentFilterFinishReasonError:
                return Heard(raw.headers, finish="content_filter")
        chunks: list[Any] = []
        with self._plain.chat.completions.stream(**body) as stream:
            headers = stream._response.headers
            try:
                chunks += [event.chunk for event in stream if event.type == "chunk"]
                whole = _chat_answer(headers, stream.get_final_completion())
            except openai.LengthFinishReasonError as error:
                return _chat_answer(headers, error.completion)
            except openai.ContentFilterFinishReasonError:
                return Heard(headers, finish="content_filter")
        heard = _chat_chunks(headers, chunks)
        assert (heard.text, heard.finish, heard.usage) == (whole.text, whole.finish, whole.usage)
        assert [call[1:] for call in heard.calls] == [call[1:] for call in whole.calls]
        return heard


def _chat_body(model: str, asked: Ask, *, streams: bool) -> dict[str, Any]:
    content: Any = _QUESTION
    if asked.image:
        content = [{"type": "text", "text": _QUESTION}, {"type": "image_url", "image_url": {"url": _IMAGE}}]
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    if asked.answered is not None:
        messages += asked.answered.again
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"{call.name} is fine"}
            for call in asked.answered.calls
        ]
    body: dict[str, Any] = {"model": model, "messages": messages, **_chat_options(asked)}
    if streams:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _chat_options(asked: Ask) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if asked.tools:
        functions = [{"name": name, "description": "Tells.", "parameters": CITY, "strict": True} for name in TOOLS]
        body["tools"] = [{"type": "function", "function": each} for each in functions]
    if asked.schema:
        json_schema = {"name": "trip", "schema": TRIP, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    if asked.stop is not None:
        body["stop"] = [asked.stop]
    if asked.answers > 1:
        body["n"] = asked.answers
    if asked.reasoning:
        body["reasoning_effort"] = "low"
    if asked.cap is not None:
        body["max_completion_tokens"] = asked.cap
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    return body


def _chat_answer(headers: Mapping[str, str], answer: Any) -> Heard:
    assert "chat.completion" == answer.object
    assert answer.created > 1_600_000_000
    choice = answer.choices[0]
    message = choice.message
    assert "assistant" == message.role
    return Heard(
        headers,
        message.content or "",
        (message.model_extra or {}).get("reasoning_content") or "",
        message.refusal or "",
        [Call(one.id, one.function.name, json.loads(one.function.arguments)) for one in message.tool_calls or ()],
        choice.finish_reason,
        _usage(answer.usage),
        {answer.id},
        answer.model,
        [message.model_dump(exclude_none=True)],
        answers=len({one.message.content for one in answer.choices}),
    )


def _usage(usage: Any) -> tuple[int, int] | None:
    return None if usage is None else (usage.prompt_tokens, usage.completion_tokens)


def _chat_chunks(headers: Mapping[str, str], chunks: Iterable[Any]) -> Heard:
    chunks = list(chunks)
    heard = Heard(headers, model=chunks[0].model)
    begun: dict[int, list[str]] = {}
    for chunk in chunks:
        assert "chat.completion.chunk" == chunk.object
        heard.ids.add(chunk.id)
        if chunk.usage is not None:
            assert heard.usage is None and [] == chunk.choices
            heard.usage = _usage(chunk.usage)
        for choice in chunk.choices:
            if choice.index:
                heard.answers = max(heard.answers, choice.index + 1)
                continue
            heard.text += choice.delta.content or ""
            heard.pieces += bool(choice.delta.content)
            heard.reasoning += (choice.delta.model_extra or {}).get("reasoning_content") or ""
            heard.refusal += choice.delta.refusal or ""
            for one in choice.delta.tool_calls or ():
                call = begun.setdefault(one.index, [one.id, one.function.name, ""])
                call[2] += one.function.arguments or ""
            if choice.finish_reason is not None:
                assert heard.finish is None
                heard.finish = choice.finish_reason
    heard.calls = [Call(id_, name, json.loads(arguments)) for id_, name, arguments in begun.values()]
    calls = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in begun.values()
    ]
    heard.again = [{"role": "assistant", "content": heard.text or None, "tool_calls": calls}]
    return heard


class Completions:
    """Completions of old."""

    wire = Wire.COMPLETIONS
    only = None
    cannot: Mapping[str, str] = {
        "image": "a prompt is a text",
        "tools": "the language has no tools",
        "one_call": "the language has no tools",
        "thoughtful_tools": "the language has no tools",
        "moved": "the language has no tools",
        "tools_cut": "the language has no tools",
        "structured": "the language has no schemas",
        "reasoning": "the language has no place for reasoning",
    }
    finishes: Mapping[str, str] = {"stop": "stop", "length": "length", "refusal": "content_filter"}

    def __init__(self, url: str, *, streams: bool = False) -> None:
        self.name = f"completions{', stream' if streams else ''}"
        self.streams = streams
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        # The default is 16 tokens.
        body: dict[str, Any] = {"model": model, "prompt": _QUESTION, "max_tokens": asked.cap or 100}
        if asked.stop is not None:
            body["stop"] = asked.stop
        if asked.answers > 1:
            body["n"] = asked.answers
        if asked.temperature is not None:
            body["temperature"] = asked.temperature
        if self.streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        raw = self._client.completions.with_raw_response.create(**body)
        parsed = raw.parse()
        chunks = list(parsed) if self.streams else [parsed]
        heard = Heard(raw.headers, model=chunks[0].model, ids={chunk.id for chunk in chunks})
        for chunk in chunks:
            assert "text_completion" == chunk.object
            if chunk.usage is not None:
                assert heard.usage is None
                heard.usage = _usage(chunk.usage)
            for choice in chunk.choices:
                heard.answers = max(heard.answers, choice.index + 1)
                if choice.index:
                    continue
                heard.text += choice.text
                heard.pieces += bool(choice.text)
                heard.finish = choice.finish_reason or heard.finish
        return heard


class Responses:
    """Responses."""

    wire = Wire.RESPONSES
    only = None
    cannot: Mapping[str, str] = {
        "stopped": "the language has no stop sequences",
        "two_answers": "the language gives one answer at a time",
    }
    finishes: Mapping[str, str] = {
        "stop": "completed",
        "length": "max_output_tokens",
        "tools": "completed",
        "refusal": "content_filter",
    }

    def __init__(self, url: str, *, streams: bool = False) -> None:
        self.name = f"responses{', stream' if streams else ''}"
        self.streams = streams
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        body = _responses_body(model, asked)
        if not self.streams:
            raw = self._client.responses.with_raw_response.create(**body)
            return _response(raw.headers, raw.parse())
        raw = self._client.responses.with_raw_response.create(**body, stream=True)
        events = list(raw.parse())
        assert list(range(len(events))) == [event.sequence_number for event in events]
        kinds = [event.type for event in events]
        assert ["response.created", "response.in_progress"] == kinds[:2]
        if kinds[-1] == "response.failed":
            raise StreamFailedError(events[-1].response.error)
        heard = _response(raw.headers, events[-1].response)
        said = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert heard.text == "".join(said)
        heard.pieces = len(said)
        heard.ids |= {event.response.id for event in events if hasattr(event, "response")}
        _names_items_once(events)
        return heard


def _names_items_once(events: Sequence[Any]) -> None:
    """Everything that is told of one item is told under one id, from its beginning to the whole response."""
    named: dict[int, set[str]] = {}
    for event in events:
        if hasattr(event, "output_index"):
            id_ = event.item_id if hasattr(event, "item_id") else event.item.id
            named.setdefault(event.output_index, set()).add(id_)
    assert [{item.id} for item in events[-1].response.output] == [named[place] for place in sorted(named)]
    assert 1 == len({event.response.created_at for event in events if hasattr(event, "response")})


class StreamFailedError(Exception):
    """The SDK raises nothing for `response.failed`: it is an event like others."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.message)
        # Of its own codes the language has but a few.
        self.code = error.code if error.code != "server_error" else getattr(error, "type", None)


def _responses_body(model: str, asked: Ask) -> dict[str, Any]:
    content: Any = _QUESTION
    if asked.image:
        content = [{"type": "input_text", "text": _QUESTION}, {"type": "input_image", "image_url": _IMAGE}]
    items: list[Any] = [{"role": "user", "content": content}]
    if asked.answered is not None:
        items += asked.answered.again
        items += [
            {"type": "function_call_output", "call_id": call.id, "output": f"{call.name} is fine"}
            for call in asked.answered.calls
        ]
    body: dict[str, Any] = {"model": model, "instructions": "Be brief.", "input": items, "store": False}
    if asked.tools:
        body["tools"] = [
            {"type": "function", "name": name, "description": "Tells.", "parameters": CITY, "strict": True}
            for name in TOOLS
        ]
    if asked.schema:
        body["text"] = {"format": {"type": "json_schema", "name": "trip", "schema": TRIP, "strict": True}}
    if asked.reasoning:
        body["reasoning"] = {"effort": "low", "summary": "auto"}
    if asked.cap is not None:
        body["max_output_tokens"] = asked.cap
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    return body


def _response(headers: Mapping[str, str], answer: Any) -> Heard:
    assert "response" == answer.object
    heard = Heard(headers, answer.output_text, ids={answer.id}, model=answer.model)
    assert answer.error is None
    if answer.usage is not None:
        heard.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
    heard.finish = answer.status if answer.incomplete_details is None else answer.incomplete_details.reason
    for item in answer.output:
        if item.type == "reasoning":
            heard.reasoning += "".join(part.text for part in (*item.summary, *(item.content or ())))
        elif item.type == "function_call":
            heard.calls.append(Call(item.call_id, item.name, json.loads(item.arguments)))
        elif item.type == "message":
            heard.refusal += "".join(part.refusal for part in item.content if part.type == "refusal")
    heard.again = [item.model_dump(exclude_none=True) for item in answer.output]
    return heard


class Embeddings:
    """Embeddings."""

    wire = Wire.EMBEDDINGS
    only = None
    streams = False
    name = "embeddings"
    cannot: Mapping[str, str] = dict.fromkeys(
        (
            "length",
            "stopped",
            "two_answers",
            "image",
            "tools",
            "one_call",
            "thoughtful_tools",
            "moved",
            "structured",
            "reasoning",
            "refusal",
            "filtered",
        ),
        "vectors are asked for, not an answer",
    )
    finishes: Mapping[str, str] = {}

    def __init__(self, url: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        body: dict[str, Any] = {"model": model, "input": ["How is the river?", "And the sea?"]}
        if asked.temperature is not None:
            # What may be left out of a request for vectors.
            body["user"] = "somebody"
        raw = self._client.embeddings.with_raw_response.create(**body)
        answer = raw.parse()
        assert "list" == answer.object
        assert [0, 1] == [each.index for each in answer.data]
        assert all(isinstance(number, float) for each in answer.data for number in each.embedding)
        return Heard(raw.headers, usage=(answer.usage.prompt_tokens, 0), model=answer.model, pieces=len(answer.data))
