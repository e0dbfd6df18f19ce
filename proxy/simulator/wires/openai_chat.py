"""OpenAI's chat completions, as most providers speak them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from proxy.simulator.answers import Answer, Choice
from proxy.simulator.events import DONE, Document, Event, dumps
from proxy.simulator.question import BadRequestError, Question, decoded_object, member, objects, texts
from proxy.simulator.wires.openai_errors import OpenAIWire
from proxy.simulator.wires.wire import Call, Exchange, forced, fragments


class OpenAIChat(OpenAIWire):
    """Chat completions."""

    name = "openai_chat"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        return parse_chat(call.body, call.groups.get("model"))

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The turns of a request, readable or not."""
        return objects(fields.get("messages"))

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        return completion(exchange.answer)

    def opening(self, exchange: Exchange) -> Iterator[Event]:
        """The role of each choice."""
        for index, choice in enumerate(exchange.answer.choices):
            content = None if choice.tool_calls or choice.refusal else ""
            yield _event(exchange, choice_delta(index, {"role": "assistant", "content": content, "refusal": None}))

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """The chunks with content, the choices taking turns."""
        turns = zip_longest(*(_deltas(index, choice) for index, choice in enumerate(exchange.answer.choices)))
        for turn in turns:
            yield from ((_event(exchange, delta),) for delta in turn if delta is not None)

    def closing(self, exchange: Exchange) -> Iterator[Event]:
        """The finish of each choice, and the usage if it was asked for."""
        for index, choice in enumerate(exchange.answer.choices):
            yield _event(exchange, choice_delta(index, {}, choice.finish_reason))
        if exchange.asked.include_usage:
            yield _event(exchange, usage=dict(exchange.answer.usage))

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """[DONE]."""
        yield Event(DONE)


# Requests.


def parse_chat(body: bytes, deployment: str | None = None) -> Question:
    """Read a chat request, whose model may be named by its path. Raises BadRequestError."""
    asked = decoded_object(body)
    tools = _tools(asked)
    stream = asked.get("stream") is True
    messages = _messages(asked)
    return Question(
        model=read_model({"model": deployment} if deployment else asked),
        messages=messages,
        stream=stream,
        include_usage=include_usage(asked, stream=stream),
        choices=positive(asked, "n", 128) or 1,
        max_tokens=positive(asked, "max_completion_tokens") or positive(asked, "max_tokens"),
        tools=tools,
        forced_tools=_forced_tools(asked, tools),
        schema=_schema(asked),
        stops=texts(asked.get("stop")),
        images=sum(part.get("type") == "image_url" for one in messages for part in objects(one.get("content"))),
        body=asked,
    )


def read_model(asked: Mapping[str, Any]) -> str:
    """The model that is asked. Raises BadRequestError where none is named."""
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("you must provide a model parameter", "model")
    return model


def _messages(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = asked.get("messages")
    if messages is None:
        raise BadRequestError("Missing required parameter: 'messages'.", "messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadRequestError("Invalid 'messages': expected an array of message objects, at least one.", "messages")
    return messages


def include_usage(asked: Mapping[str, Any], *, stream: bool) -> bool:
    """Whether a stream is to end with the usage. Raises BadRequestError where nothing streams."""
    options = asked.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise BadRequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )
    return isinstance(options, dict) and options.get("include_usage") is True


def positive(asked: Mapping[str, Any], name: str, most: int | None = None) -> int | None:
    """A field that is a whole number from 1 up to `most`, None where it is absent. Raises BadRequestError."""
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most is not None and value > most):
        raise BadRequestError(
            f"Invalid '{name}': expected an integer from 1{f' to {most}' if most else ''}, got {value!r:.40}.", name
        )
    return value


def _tools(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = asked.get("tools") or ()
    if not isinstance(tools, (list, tuple)):
        raise BadRequestError("Invalid 'tools': expected an array of tools.", "tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return [one for one in functions if isinstance(one, dict) and isinstance(one.get("name"), str)]


def _forced_tools(asked: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The named function; or for `required` the first two offered, one if parallel calls are off."""
    choice = asked.get("tool_choice")
    named = isinstance(choice, dict) and choice.get("type") == "function"
    wanted = member(choice, "function", "name")
    return forced_of(asked, tools, wanted=wanted if named else None, named=named, place="tool_choice.function.name")


def forced_of(
    asked: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], *, wanted: object, named: bool, place: str
) -> list[str]:
    """The tools that must be called: the `wanted` one if one is `named`. Raises BadRequestError."""
    required = asked.get("tool_choice") == "required"
    names = [str(tool["name"]) for tool in tools]
    if (required or named) and not names:
        raise BadRequestError("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    if named and wanted not in names:
        raise BadRequestError(f"Invalid 'tool_choice': no tool is named {wanted!r:.80}.", place)
    parallel = asked.get("parallel_tool_calls") is not False
    return forced(names, wanted=str(wanted) if named else None, every=required, parallel=parallel)


def _schema(asked: Mapping[str, Any]) -> object:
    wanted = asked.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") not in {"json_object", "json_schema"}:
        return None
    schema = member(wanted, "json_schema", "schema")
    return schema if isinstance(schema, dict) else {}


# Answers.


def completion(answer: Answer) -> Document:
    """The JSON answer."""
    return {
        "id": f"chatcmpl-{answer.mark}",
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_message(index, choice) for index, choice in enumerate(answer.choices)],
        "usage": dict(answer.usage),
        "system_fingerprint": "fp_simulated",
    }


def _message(index: int, choice: Choice) -> Document:
    message: Document = {"role": "assistant", "content": "".join(choice.tokens), "refusal": None}
    if choice.refusal:
        message |= {"content": None, "refusal": "".join(choice.refusal)}
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.tool_calls:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": f"call_{mark}",
                "type": "function",
                "function": {"name": call.name, "arguments": dumps(call.arguments)},
            }
            for mark, call in choice.tool_calls
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason}


def _event(exchange: Exchange, *choices: Document, usage: object = None) -> Event:
    """One chunk of a stream; with `include_usage` every chunk has the key, null but in the last."""
    answer = exchange.answer
    shape: Document = {
        "id": f"chatcmpl-{answer.mark}",
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": "fp_simulated",
        "choices": list(choices),
    }
    return Event(dumps({**shape, "usage": usage} if exchange.asked.include_usage else shape))


def choice_delta(index: int, delta: Document, finish_reason: str | None = None) -> Document:
    """The item of `choices` in a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _deltas(index: int, choice: Choice) -> Iterator[Document]:
    for word in choice.reasoning:
        yield choice_delta(index, {"reasoning_content": word})
    for word in choice.tokens:
        yield choice_delta(index, {"content": word})
    for word in choice.refusal:
        yield choice_delta(index, {"refusal": word})
    for number, (mark, call) in enumerate(choice.tool_calls):
        function = {"name": call.name, "arguments": ""}
        opening = {"index": number, "id": f"call_{mark}", "type": "function", "function": function}
        yield choice_delta(index, {"tool_calls": [opening]})
        for piece in fragments(dumps(call.arguments)):
            yield choice_delta(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
