"""Whatever is said in a conversation is still said in the one that is sent, in the same order."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.dialect import ChatAsked, NotCarriedError
from tests.dialects.anthropic.oracle import (
    MODEL,
    NEW,
    OLD,
    assistant,
    body_of,
    call,
    outgoing,
    raw_fields,
    result,
    text,
    tool,
    user,
)
from tests.dialects.anthropic.test_answer import JSON


def image(data: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


TAGS = ("<system>", "</system>", ".")
TEXTS = st.text(min_size=1).filter(lambda said: said.strip() and said not in TAGS)
IMAGES = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(b"\x89PNG" + data).decode())
NAMES = st.text(min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(st.text(), JSON.filter(lambda value: "NaN" not in str(value)), max_size=3)
CALLS = st.tuples(NAMES, ARGUMENTS.map(lambda given: json.dumps(given).replace("NaN", "0").replace("Infinity", "0")))
EXCHANGES = st.tuples(
    st.none() | TEXTS,
    st.lists(TEXTS.map(text) | IMAGES.map(image), min_size=1, max_size=3),
    st.none() | TEXTS,
    st.lists(st.tuples(CALLS, TEXTS), max_size=3),
)
WORDS = st.sampled_from(
    [
        "type", "text", "image_url", "url", "file", "file_data", "function", "name", "arguments", "id", "signature",
        "properties", "items", "required", "anyOf", "allOf", "$ref", "$defs", "definitions", "format",
        "minItems", "enum",
    ]
)  # fmt: skip
LOOSE = st.sampled_from(["text", "image_url", "file", "function", "object", "https://a", "data:,a", "#/$defs/a"]) | JSON
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | JSON},
    optional={
        "content": TEXTS | st.lists(st.dictionaries(WORDS, LOOSE) | JSON, max_size=3) | JSON,
        "tool_calls": st.lists(st.dictionaries(WORDS, st.dictionaries(WORDS, LOOSE) | LOOSE), max_size=2) | JSON,
        "tool_call_id": LOOSE,
        "thinking_blocks": st.lists(st.dictionaries(WORDS, LOOSE), max_size=2) | JSON,
        "cache_control": JSON,
    },
)
SCHEMAS = st.recursive(LOOSE, lambda inner: st.dictionaries(WORDS, inner | st.lists(inner, max_size=2)), max_leaves=8)
TOOLS = st.fixed_dictionaries(
    {
        "type": st.just("function") | LOOSE,
        "function": st.fixed_dictionaries(
            {"name": NAMES}, optional={"parameters": SCHEMAS, "strict": st.booleans() | JSON, "description": JSON}
        ),
    },
)


def conversation(exchanges: list[Any]) -> list[dict[str, object]]:
    """Exchanges as chat messages; every call has an id of its own."""
    messages: list[dict[str, object]] = []
    for place, (system, asked, said, called) in enumerate(exchanges):
        if system is not None:
            messages.append({"role": "system", "content": system})
        messages.append(user(asked))
        calls = [call(f"call_{place}-{index}", *each) for index, (each, _) in enumerate(called)]
        if said is not None or calls:
            messages.append(assistant(said, *calls))
        messages += [result(f"call_{place}-{index}", told) for index, (_, told) in enumerate(called)]
    return [*messages, user("last")]


def said_in_chat(messages: list[Any]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for message in messages:
        content = message["content"]
        if message["role"] == "tool":
            found.append(("result", message["tool_call_id"], content))
            continue
        for part in [text(content)] if isinstance(content, str) else content or ():
            is_text = part["type"] == "text"
            found.append(("text", part["text"]) if is_text else ("image", part["image_url"]["url"][22:]))
        for each in message.get("tool_calls", ()):
            function = each["function"]
            found.append(("call", each["id"], function["name"], json.loads(function["arguments"])))
    return found


def said_in_messages(body: dict[str, Any], names: Any) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    blocks = [*body.get("system", ()), *(part for turn in body["messages"] for part in turn["content"])]
    for part in blocks:
        if part["type"] == "text" and part["text"] not in TAGS:
            found.append(("text", part["text"]))
        elif part["type"] == "image":
            found.append(("image", part["source"]["data"]))
        elif part["type"] == "tool_use":
            found.append(("call", part["id"], names.get(part["name"], part["name"]), part["input"]))
        elif part["type"] == "tool_result":
            found.append(("result", part["tool_use_id"], part["content"]))
    return found


@given(st.lists(EXCHANGES, max_size=4), st.sampled_from([MODEL, NEW]), st.lists(NAMES, max_size=4))
def test_nothing_that_was_said_is_lost_or_moved(exchanges: list[Any], model: str, tools: list[str]) -> None:
    messages = conversation(exchanges)

    written = outgoing(messages=messages, model=model, tools=[tool(name) for name in tools])

    body = body_of(written)
    assert said_in_chat(messages) == said_in_messages(body, written.names)
    roles = [turn["role"] for turn in body["messages"]]
    assert "user" == roles[0]
    assert all(one != other for one, other in itertools.pairwise(roles))
    sent = [each["name"] for each in body.get("tools", ())]
    assert len(set(sent)) == len(sent)
    if tools:
        assert list(dict.fromkeys(tools)) == [written.names.get(name, name) for name in sent]


FIELDS = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES | JSON, max_size=4) | JSON},
    optional={
        "tools": st.lists(TOOLS | JSON, max_size=3) | JSON,
        "response_format": st.fixed_dictionaries(
            {"type": st.just("json_schema") | JSON, "json_schema": SCHEMAS | JSON}
        ),
        **dict.fromkeys(("tool_choice", "stop", "temperature", "top_k", "user", "thinking", "max_tokens"), JSON),
        **dict.fromkeys(("reasoning_effort", "cache_control", "n", "modalities", "unheard_of"), JSON),
    },
)


@given(FIELDS, st.sampled_from([OLD, MODEL, NEW]))
def test_no_request_raises_anything_but_what_it_may(fields: dict[str, Any], model: str) -> None:
    try:
        written = ANTHROPIC.write(ChatAsked(raw_fields(fields), model))
    except NotCarriedError as error:
        refused = error.param
    else:
        refused = None
        assert body_of(written)["messages"]

    assert refused is None or refused in fields
