"""What holds of the whole dialect, whatever comes in."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.core.failure import Failure
from proxy.dialects.dialect import ChatAsked, NotCarriedError
from proxy.dialects.gemini.dialect import GEMINI
from tests.dialects.gemini.wire import MODEL, OLD, READING, call, chat_events, event, outgoing, stream, usage

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)

# Conversations

arguments = st.dictionaries(texts, values, max_size=3)
image_urls = st.binary(min_size=1, max_size=20).map(
    lambda data: "data:image/png;base64," + base64.b64encode(b"\x89PNG" + data).decode()
)
user_parts = st.lists(
    texts.map(lambda text: {"type": "text", "text": text})
    | image_urls.map(lambda url: {"type": "image_url", "image_url": {"url": url}}),
    min_size=1,
    max_size=3,
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Something that the user says, and how the assistant answers, perhaps with tools."""
    said: list[dict[str, Any]] = [{"role": "user", "content": draw(texts | user_parts)}]
    calls = draw(st.lists(st.tuples(texts, arguments), max_size=3))
    if calls:
        ids = draw(st.lists(texts, min_size=len(calls), max_size=len(calls), unique=True))
        made = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(given_)}}
            for id_, (name, given_) in zip(ids, calls, strict=True)
        ]
        said.append({"role": "assistant", "content": draw(st.none() | texts), "tool_calls": made})
        said += [{"role": "tool", "tool_call_id": id_, "content": draw(texts)} for id_ in draw(st.permutations(ids))]
    said.append({"role": "assistant", "content": draw(texts)})
    return said


def flattened(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Who said what in a chat, in order."""
    found: list[tuple[Any, ...]] = []
    names: dict[str, str] = {}
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "tool":
            found.append(("user", "result", message["tool_call_id"], names[message["tool_call_id"]], content))
            continue
        speaker = "model" if role == "assistant" else "user"
        for part in [{"text": content}] if isinstance(content, str) else content or ():
            said = ("text", part["text"]) if "text" in part else ("image", part["image_url"]["url"].partition(",")[2])
            found.append((speaker, *said))
        for made in message.get("tool_calls", ()):
            function = made["function"]
            names[made["id"]] = function["name"]
            found.append((speaker, "call", made["id"], function["name"], json.loads(function["arguments"])))
    return found


def flattened_contents(contents: list[dict[str, Any]], names: dict[str, str]) -> list[tuple[Any, ...]]:
    """Who said what in contents, in order."""
    found: list[tuple[Any, ...]] = []
    for content in contents:
        role = content["role"]
        for part in content["parts"]:
            if "text" in part:
                found.append((role, "text", part["text"]))
            elif "inlineData" in part:
                found.append((role, "image", part["inlineData"]["data"]))
            elif "functionCall" in part:
                made = part["functionCall"]
                found.append((role, "call", made["id"], names.get(made["name"], made["name"]), made["args"]))
            else:
                given_ = part["functionResponse"]
                response = given_["response"]
                # A result that is an object goes as one.
                text = response["result"] if set(response) == {"result"} else json.dumps(response)
                found.append((role, "result", given_["id"], names.get(given_["name"], given_["name"]), text))
    return found


@given(st.lists(turns(), min_size=1, max_size=4), st.sampled_from([MODEL, OLD]))
def test_a_conversation_says_the_same(said: list[list[dict[str, Any]]], model: str) -> None:
    messages = [message for turn in said for message in turn]
    sent = outgoing(messages, model)
    contents = json.loads(b"".join(sent.body))["contents"]

    assert flattened(messages) == flattened_contents(contents, dict(sent.names))
    assert all(one["role"] != other["role"] for one, other in itertools.pairwise(contents))


# Streams

parts = (
    texts.map(lambda text: {"text": text})
    | texts.map(lambda text: {"text": text, "thought": True})
    | st.tuples(texts, arguments).map(lambda made: call(*made))
)
gemini_events = st.lists(parts, max_size=3).map(lambda said: event(*said, usageMetadata=usage(1, 1)))
ends = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER"]).map(lambda reason: event(finish=reason))


@given(st.lists(gemini_events, max_size=4), ends, st.sampled_from(["\n", "\r\n"]), st.data())
def test_a_stream_may_be_split_anywhere(
    events: list[dict[str, Any]], end: dict[str, Any], line_end: str, data: st.DataObject
) -> None:
    body = stream(*events, end, end=line_end)
    whole = GEMINI.translator(READING)
    expected = whole.feed(body) + whole.end()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))

    split = GEMINI.translator(READING)
    out = b"".join(split.feed(body[start:stop]) for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True))

    assert expected == out + split.end()


@given(st.lists(gemini_events, max_size=4))
def test_a_stream_says_the_same(events: list[dict[str, Any]]) -> None:
    translator = GEMINI.translator(READING)
    chunks = chat_events(translator.feed(stream(*events, event(finish="STOP"))))
    said = [part for item in events for part in item["candidates"][0]["content"]["parts"]]
    found = [item["choices"][0]["delta"] for item in chunks][1:-1]

    for part, delta in zip(said, found, strict=True):
        if "functionCall" in part:
            function = delta["tool_calls"][0]["function"]
            assert part["functionCall"] == {"name": function["name"], "args": json.loads(function["arguments"])}
        else:
            assert part["text"] == delta["reasoning_content" if part.get("thought") else "content"]
    indexes = [delta["tool_calls"][0]["index"] for delta in found if "tool_calls" in delta]
    assert [*range(len(indexes))] == indexes


@given(st.lists(gemini_events, min_size=1, max_size=4), st.data())
def test_a_stream_that_was_cut_is_not_done(events: list[dict[str, Any]], data: st.DataObject) -> None:
    body = stream(*events, event({"text": "x"}, finish="STOP"))
    last = body.rfind(b"data:")
    cut = data.draw(st.integers(0, body.rfind(b"}")).filter(lambda place: place <= last or place > last + 6))
    translator = GEMINI.translator(READING)
    translator.feed(body[:cut])

    assert b"[DONE]" not in translator.end()


# Anything

NAMES = [
    "messages", "tools", "tool_choice", "response_format", "reasoning_effort", "stop", "n", "max_tokens", "temperature",
    "modalities", "user", "logprobs",
]  # fmt: skip
members = st.sampled_from(
    ["candidates", "content", "parts", "text", "thought", "functionCall", "name", "args", "finishReason", "error",
     "promptFeedback", "blockReason", "usageMetadata", "responseId", "inlineData", "promptTokenCount"]
)  # fmt: skip
shaped: Any = st.recursive(
    values | st.sampled_from(["STOP", "SAFETY", "OTHER"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
    max_leaves=20,
)
chat_members = st.sampled_from(
    ["role", "content", "type", "text", "image_url", "url", "tool_calls", "function", "name", "arguments", "id",
     "tool_call_id", "extra_content", "google", "parameters", "properties", "json_schema", "schema", "file"]
)  # fmt: skip
chat_shaped: Any = st.recursive(
    values | st.sampled_from(["user", "assistant", "tool", "system", "function", "text", "json_schema", "data:,"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(chat_members, inner, max_size=5),
    max_leaves=20,
)


def written(fields: dict[str, Raw], model: str = MODEL) -> bytes | str:
    """The body that is sent, or the field that cannot be carried over."""
    try:
        return b"".join(GEMINI.write(ChatAsked(fields, model)).body)
    except NotCarriedError as error:
        return error.param


@given(st.dictionaries(st.sampled_from(NAMES), chat_shaped), st.sampled_from([MODEL, OLD, ""]))
def test_any_request_is_written_or_refused(fields: dict[str, Any], model: str) -> None:
    body = written({name: Raw(json.dumps(value).encode()) for name, value in fields.items()}, model)

    assert body in NAMES or json.loads(body)["contents"]


@pytest.mark.parametrize("depth", [100, 300, 500, 700, 900, 100_000])
def test_deep_requests_are_written_or_refused(depth: int) -> None:
    deep = b'{"items":' * depth + b"{}" + b"}" * depth
    messages = b'[{"role":"user","content":[{"type":"text","text":"x","file":%b}]}]'
    tools = b'[{"type":"function","function":{"name":"f","parameters":{"properties":{"x":%b}}}}]'

    for body in (
        written({"messages": Raw(messages % deep)}),
        written({"messages": Raw(messages % b"1"), "tools": Raw(tools % deep)}),
    ):
        assert isinstance(body, str) if depth > 1000 else (body in NAMES or b'"contents"' in body)


@given(shaped)
def test_any_answer_is_read(response: Any) -> None:
    body = json.dumps(response).encode()
    read = GEMINI.read(body, READING)

    assert isinstance(read, Failure) or isinstance(json.loads(read), type(response) if read == body else dict)


@given(st.lists(shaped, max_size=3), st.binary(max_size=20))
def test_any_stream_is_translated(events: list[Any], noise: bytes) -> None:
    translator = GEMINI.translator(READING)
    out = translator.feed(stream(*events)) + translator.feed(noise) + translator.end()

    assert out == b"" or (out.startswith(b"data: ") and out.endswith(b"\n\n"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read(body: bytes) -> None:
    translator = GEMINI.translator(READING)
    GEMINI.read(body, READING)

    assert isinstance(translator.feed(body) + translator.end(), bytes)
