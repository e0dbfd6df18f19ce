"""OpenAI's Responses: items, and a long row of named events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from proxy.simulator.events import Document, Event, dumps, named
from proxy.simulator.question import Question, member, objects
from proxy.simulator.wires.openai_chat import positive, read_model
from proxy.simulator.wires.openai_errors import OpenAIWire
from proxy.simulator.wires.openai_items import check_items, forced_tools, functions, images_of, turns_of
from proxy.simulator.wires.wire import Call, Exchange, broken_message, fragments, only_choice, spent, told_reason

_PARTS: Mapping[str, Document] = {
    "text": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "refusal": {"type": "refusal", "refusal": ""},
}
_INCOMPLETE = {"stop": "", "tool_calls": "", "length": "max_output_tokens", "content_filter": "content_filter"}


class Item(NamedTuple):
    """One item of the output: the events that tell it, without their places, and how it is in the end.

    What comes in the end is worked out late, as an endless text has none.
    """

    added: Document
    before: list[Document]
    deltas: Iterable[Document]
    after: Callable[[], list[Document]]
    whole: Callable[[], Document]


class OpenAIResponses(OpenAIWire):
    """/v1/responses."""

    name = "openai_responses"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = call.document()
        check_items(asked)
        tools = functions(asked)
        schema = member(asked, "text", "format", "schema")
        wanted = member(asked, "text", "format", "type") in {"json_schema", "json_object"}
        return Question(
            model=read_model(asked),
            messages=self.messages(asked),
            stream=asked.get("stream") is True,
            max_tokens=positive(asked, "max_output_tokens"),
            tools=tools,
            forced_tools=forced_tools(asked, tools),
            schema=(schema if isinstance(schema, dict) else {}) if wanted else None,
            images=images_of(asked),
            prefills=False,
            body=asked,
        )

    def messages(self, fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The turns of a request, readable or not."""
        return turns_of(fields)

    # Answers.

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        return _response(exchange, done=True)

    def opening(self, exchange: Exchange) -> Iterator[Event]:
        """The response without output, twice."""
        for number, name in enumerate(("response.created", "response.in_progress")):
            yield named({"type": name, "response": _response(exchange), "sequence_number": number})

    def beats(self, exchange: Exchange) -> Iterator[tuple[Event, ...]]:
        """The deltas of one item after the other."""
        number = 2
        pending: list[Document] = []
        for index, item in enumerate(_items(exchange)):
            pending += [_added(index, item), *(_placed(index, item, one) for one in item.before)]
            for delta in item.deltas:
                yield tuple(_numbered([*pending, _placed(index, item, delta)], number))
                number += len(pending) + 1
                pending = []
            pending += _item_end(index, item)

    def closing(self, exchange: Exchange) -> Iterator[Event]:
        """The end of the last item."""
        items = _items(exchange)
        yield from _numbered(_item_end(len(items) - 1, items[-1]) if items else [], _told(exchange))

    def terminal(self, exchange: Exchange) -> Iterator[Event]:
        """The whole response."""
        whole = _response(exchange, done=True)
        number = _told(exchange) + len(list(self.closing(exchange)))
        yield named({"type": f"response.{whole['status']}", "response": whole, "sequence_number": number})

    # Errors.

    def failure(self, exchange: Exchange, status: int = 500) -> Document:
        """A response that failed."""
        code = "rate_limit_exceeded" if status == 429 else "server_error"
        error = {"code": code, "message": broken_message(exchange.upstream)}
        return {**_response(exchange), "status": "failed", "error": error}

    def failure_event(self, exchange: Exchange, status: int = 500, code: int | None = None) -> Event:
        """The event that tells of an error inside a stream."""
        number = _told(exchange)
        return named({"type": "response.failed", "response": self.failure(exchange, status), "sequence_number": number})


def _numbered(documents: Iterable[Document], first: int) -> Iterator[Event]:
    return (named({**one, "sequence_number": first + place}) for place, one in enumerate(documents))


def _told(exchange: Exchange) -> int:
    """How many events the opening and all beats are."""
    return 2 + sum(len(beat) for beat in OpenAIResponses().beats(exchange))


def _placed(index: int, item: Item, event: Document) -> Document:
    return {**event, "item_id": item.added["id"], "output_index": index}


def _added(index: int, item: Item) -> Document:
    return {"type": "response.output_item.added", "output_index": index, "item": item.added}


def _item_end(index: int, item: Item) -> list[Document]:
    done = {"type": "response.output_item.done", "output_index": index, "item": item.whole()}
    return [*(_placed(index, item, one) for one in item.after()), done]


def _items(exchange: Exchange) -> list[Item]:
    choice, mark = only_choice(exchange), exchange.answer.mark
    items = []
    if choice.reasoning:
        items.append(_reasoning(f"rs_{mark}", choice.reasoning))
    if choice.tokens:
        items.append(_message(exchange, "text", choice.tokens))
    if choice.refusal:
        items.append(_message(exchange, "refusal", choice.refusal))
    for call_mark, call in choice.tool_calls:
        items.append(_call(call_mark, call.name, dumps(call.arguments)))
    return items


def _reasoning(mark: str, words: Sequence[str]) -> Item:
    part = {"type": "summary_text", "text": "".join(words)}
    name, place = "response.reasoning_summary_", {"summary_index": 0}
    return Item(
        added={"id": mark, "type": "reasoning", "summary": []},
        before=[{"type": f"{name}part.added", **place, "part": {**part, "text": ""}}],
        deltas=({"type": f"{name}text.delta", **place, "delta": word} for word in words),
        after=lambda: [
            {"type": f"{name}text.done", **place, "text": part["text"]},
            {"type": f"{name}part.done", **place, "part": part},
        ],
        whole=lambda: {"id": mark, "type": "reasoning", "summary": [part]},
    )


def _message(exchange: Exchange, kind: str, words: Sequence[str]) -> Item:
    """A message of `text` or of a `refusal`."""
    empty = _PARTS[kind]
    added = {"id": f"msg_{exchange.answer.mark}", "type": "message", "role": "assistant", "status": "in_progress"}
    name = f"response.{empty['type']}"
    more: Document = {"content_index": 0, "logprobs": []} if kind == "text" else {"content_index": 0}
    part = {"type": "response.content_part.added", "content_index": 0, "part": empty}

    def whole_part() -> Document:
        return {**empty, kind: "".join(words)}

    return Item(
        added={**added, "content": []},
        before=[part],
        deltas=({"type": f"{name}.delta", **more, "delta": word} for word in words),
        after=lambda: [
            {"type": f"{name}.done", **more, kind: "".join(words)},
            {**part, "type": "response.content_part.done", "part": whole_part()},
        ],
        whole=lambda: {**added, "status": "completed", "content": [whole_part()]},
    )


def _call(mark: str, name: str, arguments: str) -> Item:
    shape = {"id": f"fc_{mark}", "type": "function_call", "call_id": f"call_{mark}", "name": name}
    told = "response.function_call_arguments"
    return Item(
        added={**shape, "arguments": "", "status": "in_progress"},
        before=[],
        deltas=({"type": f"{told}.delta", "delta": piece} for piece in fragments(arguments)),
        after=lambda: [{"type": f"{told}.done", "arguments": arguments, "name": name}],
        whole=lambda: {**shape, "arguments": arguments, "status": "completed"},
    )


def _response(exchange: Exchange, *, done: bool = False) -> Document:
    asked, answer = exchange.asked.body, exchange.answer
    reason = told_reason(_INCOMPLETE, only_choice(exchange)) if done else None
    return {
        "id": f"resp_{answer.mark}",
        "object": "response",
        "created_at": answer.created,
        "status": ("incomplete" if reason else "completed") if done else "in_progress",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": answer.model,
        "output": [item.whole() for item in _items(exchange)] if done else [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": member(asked, "reasoning", "effort"), "summary": None},
        "store": asked.get("store") is not False,
        "temperature": asked.get("temperature", 1.0),
        "text": {"format": member(asked, "text", "format") or {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": objects(asked.get("tools")),
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "usage": _usage(exchange) if done else None,
        "metadata": asked.get("metadata") or {},
    }


def _usage(exchange: Exchange) -> Document:
    prompt, cached, completion, thought = spent(exchange)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": prompt + completion,
    }
