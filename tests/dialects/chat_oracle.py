"""Chat as OpenAI's own types see it: what translators write is read with them, and what they get is made for them."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.core.facts import ModelFacts
from proxy.core.failure import Failure, FailureClass
from proxy.dialects.dialect import ChatAsked, NotCarriedError, Outgoing, Reading, Translator

READING = Reading("asked", "chatcmpl-r4nd0m", 7)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def asked(fields: dict[str, Any], model: str = "m", **more: Any) -> ChatAsked:
    body = json.dumps({"model": "route", "messages": [{"role": "user", "content": "hi"}]} | fields).encode()
    return ChatAsked(msgspec.json.decode(body, type=dict[str, Raw]), model, **more)


def knowing(**facts: Any) -> ModelFacts:
    return ModelFacts(**facts)


def completion(answer: object) -> ChatCompletion:
    assert isinstance(answer, bytes), answer
    return ChatCompletion.model_validate_json(answer)


def failed(read: object) -> tuple[FailureClass, str]:
    """The class and the code of a failure."""
    assert isinstance(read, Failure), read
    return read.kind, read.code


def written_or_refused(write: Callable[[ChatAsked], Outgoing], fields: dict[str, Any]) -> None:
    """Whatever the fields are: a request that is JSON comes of them, or a refusal that names one."""
    try:
        out = write(asked(fields))
    except NotCarriedError as refused:
        assert refused.param in fields  # noqa: PT017
    else:
        json.loads(b"".join(out.body))


def data_of(events: bytes) -> list[bytes]:
    """The data of each event; every one is a single line with a blank one behind it."""
    *blocks, rest = events.split(b"\n\n")
    assert b"" == rest
    assert all(block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block for block in blocks)
    return [block[6:] for block in blocks]


def chunks(events: bytes) -> list[ChatCompletionChunk]:
    """The events of a stream that ended well."""
    *data, done = data_of(events)
    assert b"[DONE]" == done
    read = [ChatCompletionChunk.model_validate_json(event) for event in data]
    assert 1 == len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in read})
    return read


class Heard:
    """What a client makes of a whole stream."""

    def __init__(self, events: bytes) -> None:
        self.text = self.thoughts = ""
        self.calls: list[dict[str, str]] = []
        self.finish: list[str] = []
        self.usage: Any = None
        self.blocks: list[dict[str, Any]] = []
        self.logprobs: list[Any] = []
        for chunk in chunks(events):
            self.usage = chunk.usage or self.usage
            for choice in chunk.choices:
                delta = choice.delta
                self.text += delta.content or ""
                self.thoughts += getattr(delta, "reasoning_content", None) or ""
                self.blocks += getattr(delta, "thinking_blocks", None) or []
                self.logprobs += (choice.logprobs and choice.logprobs.content) or []
                self.finish += [choice.finish_reason] if choice.finish_reason else []
                for call in delta.tool_calls or []:
                    if call.id is not None:
                        assert len(self.calls) == call.index
                        self.calls.append({"id": call.id, "name": call.function.name, "arguments": ""})
                    self.calls[call.index]["arguments"] += call.function.arguments or ""


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def told(make: Callable[[], Translator], data: bytes, cuts: list[int] = []) -> bytes:  # noqa: B006
    translator = make()
    return b"".join(translator.feed(piece) for piece in pieces(data, cuts)) + translator.end()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() != ""
)
NAMES = st.text(min_size=1, max_size=80).filter(lambda name: "\ud800" > max(name) or "\udfff" < min(name))


@st.composite
def conversations(draw: Any) -> list[dict[str, Any]]:
    """Well-formed ones: a system, then questions, and answers with or without calls and their results."""
    conversation: list[dict[str, Any]] = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        parts: list[dict[str, Any]] = [{"type": "text", "text": draw(WORDS)}]
        if draw(st.booleans()):
            parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
        conversation.append({"role": "user", "content": parts if draw(st.booleans()) else parts[0]["text"]})
        calls = []
        for _ in range(draw(st.integers(0, 2))):
            number += 1
            arguments = json.dumps(draw(st.dictionaries(st.text(max_size=5), JSON, max_size=2)))
            function = {"name": draw(NAMES), "arguments": arguments}
            calls.append({"id": f"{draw(st.text(max_size=70))}{number}", "type": "function", "function": function})
        conversation.append({"role": "assistant", "content": draw(WORDS), **({"tool_calls": calls} if calls else {})})
        conversation += [{"role": "tool", "tool_call_id": call["id"], "content": draw(WORDS)} for call in calls]
    conversation.append({"role": "user", "content": draw(WORDS)})
    return conversation
