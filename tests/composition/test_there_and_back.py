"""Conversations into every language and back: who says what stays, in order, with its calls, their results and images.

Texts are compared as they stand, and calls by what ties them to their results: an id that a language does not allow is
spelled otherwise there. What is written for an upstream is read back by a reader of its own here, answers and events
for clients by the language of upstreams that is their counterpart.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.chat_events import DONE, ChatEvents, chat_completion, tool_call, usage_of
from proxy.dialects.client_wire import Speaking
from proxy.dialects.dialect import ChatAsked, Reading
from proxy.dialects.languages import CLIENT_WIRES, DIALECTS, chat_fields
from tests.dialects.chat_oracle import JSON, NAMES, WORDS, Heard, conversations

Atom = tuple[Any, ...]
"""Something that somebody says: who, of which kind, and what."""
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "ollama": "qwen3:8b",
}


class Ties:
    """Ids as numbers, in the order in which they appear."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self._ids: dict[object, int] = {}

    def id(self, id_: object) -> int:
        return self._ids.setdefault(id_, len(self._ids))

    def call(self, id_: object, name: str, arguments: object) -> Atom:
        return "assistant", "call", self.id(id_), self.names.get(name, name), arguments

    def result(self, id_: object, text: object) -> Atom:
        return "tool", "result", self.id(id_), text


def of_chat(messages: list[dict[str, Any]]) -> list[Atom]:
    ties, atoms = Ties({}), []
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "tool":
            atoms.append(ties.result(message["tool_call_id"], content))
            continue
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            if part["type"] == "image_url":
                atoms.append((role, "image", part["image_url"]["url"].partition(",")[2]))
            elif part["text"]:
                atoms.append((role, "text", part["text"]))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            atoms.append(ties.call(call["id"], function["name"], json.loads(function["arguments"])))
    return atoms


def of_anthropic(body: dict[str, Any], ties: Ties) -> Iterator[Atom]:
    yield from (("system", "text", block["text"]) for block in body.get("system", ()))
    for message in body["messages"]:
        for block in message["content"]:
            match block["type"]:
                case "text":
                    yield message["role"], "text", block["text"]
                case "image":
                    yield message["role"], "image", block["source"]["data"]
                case "tool_use":
                    yield ties.call(block["id"], block["name"], block["input"])
                case "tool_result":
                    yield ties.result(block["tool_use_id"], block["content"])


def of_gemini(body: dict[str, Any], ties: Ties) -> Iterator[Atom]:
    yield from (("system", "text", part["text"]) for part in body.get("systemInstruction", {"parts": ()})["parts"])
    for content in body["contents"]:
        role = "assistant" if content["role"] == "model" else "user"
        for part in content["parts"]:
            if "text" in part:
                yield role, "text", part["text"]
            elif "inlineData" in part:
                yield role, "image", part["inlineData"]["data"]
            elif "functionCall" in part:
                call = part["functionCall"]
                yield ties.call(call["id"], call["name"], call["args"])
            else:
                answer = part["functionResponse"]
                yield ties.result(answer["id"], answer["response"]["result"])


def of_bedrock(body: dict[str, Any], ties: Ties) -> Iterator[Atom]:
    yield from (("system", "text", block["text"]) for block in body.get("system", ()))
    for message in body["messages"]:
        for block in message["content"]:
            if "text" in block:
                yield message["role"], "text", block["text"]
            elif "image" in block:
                yield message["role"], "image", block["image"]["source"]["bytes"]
            elif "toolUse" in block:
                call = block["toolUse"]
                yield ties.call(call["toolUseId"], call["name"], call["input"])
            else:
                result = block["toolResult"]
                yield ties.result(result["toolUseId"], "".join(part["text"] for part in result["content"]))


def of_ollama(body: dict[str, Any], ties: Ties) -> Iterator[Atom]:
    for message in body["messages"]:
        if message["role"] == "tool":
            yield ties.result(message["tool_call_id"], message["content"])
            continue
        if message["content"]:
            yield message["role"], "text", message["content"]
        yield from ((message["role"], "image", image) for image in message.get("images", ()))
        for call in message.get("tool_calls", ()):
            yield ties.call(call["id"], call["function"]["name"], call["function"]["arguments"])


READERS = {"anthropic": of_anthropic, "gemini": of_gemini, "bedrock": of_bedrock, "ollama": of_ollama}


def raw(document: dict[str, Any]) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(json.dumps(document).encode(), type=dict[str, msgspec.Raw])


def test_every_dialect_has_its_reader() -> None:
    assert set(DIALECTS) == set(READERS) == set(MODELS)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(conversation=conversations())
def test_what_is_asked_arrives_whole(name: str, conversation: list[dict[str, Any]]) -> None:
    sent = DIALECTS[name].write(ChatAsked(raw({"model": "m", "messages": conversation}), MODELS[name]))

    body = json.loads(b"".join(map(bytes, sent.body)))
    assert of_chat(conversation) == list(READERS[name](body, Ties(dict(sent.names))))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(conversation=conversations())
def test_messages_that_a_client_sends_are_those_that_were_written(conversation: list[dict[str, Any]]) -> None:
    """Anthropic's language, written for an upstream and read as a client's."""
    sent = DIALECTS["anthropic"].write(ChatAsked(raw({"model": "m", "messages": conversation}), MODELS["anthropic"]))
    fields = msgspec.json.decode(b"".join(map(bytes, sent.body)), type=dict[str, msgspec.Raw])
    messages = json.loads(bytes(chat_fields(ModelRequest(fields, "m", wire=Wire.MESSAGES))["messages"]))

    ties = Ties(dict(sent.names))
    renamed = [(*atom[:3], ties.names.get(atom[3], atom[3]), atom[4]) if atom[1] == "call" else atom
               for atom in of_chat(messages)]  # fmt: skip
    assert of_chat(conversation) == renamed


CALLS = st.lists(
    st.builds(
        lambda name, arguments: {"name": name, "arguments": json.dumps(arguments)},
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
        st.dictionaries(NAMES, JSON, max_size=3),
    ),
    max_size=3,
)
BACK = {Wire.MESSAGES: DIALECTS["anthropic"].translator,
        Wire.RESPONSES: CLIENT_WIRES[Wire.RESPONSES].to_chat_events}  # fmt: skip
"""Who reads what is written for clients of a language."""
READING = Reading("m", "chatcmpl-x", 7)


def speaking(wire: Wire) -> Speaking:
    body = {"model": "m", "messages": [], "max_tokens": 9, "input": "hi"}
    return Speaking(CLIENT_WIRES[wire].parse(json.dumps(body).encode()), "x", 7)


@pytest.mark.parametrize("wire", BACK)
@given(texts=st.lists(WORDS, max_size=4), thought=st.just("") | WORDS, calls=CALLS)
def test_a_stream_for_a_client_says_what_was_said(
    wire: Wire, texts: list[str], thought: str, calls: list[dict[str, str]]
) -> None:
    chat = ChatEvents("chatcmpl-a", 7, "m")
    events = [chat.role(), *([chat.reasoning(thought)] if thought else []), *map(chat.text, texts)]
    for index, call in enumerate(calls):
        events += [chat.call(index, f"call_{index}", call["name"]), chat.arguments(index, call["arguments"])]
    events += [chat.finish("tool_calls" if calls else "stop"), chat.usage(usage_of(3, 4)), DONE]
    encoder, back = CLIENT_WIRES[wire].encoder(speaking(wire)), BACK[wire](READING)
    written = b"".join(map(encoder.feed, events))

    heard = Heard(back.feed(written) + back.end())
    assert ("".join(texts), thought) == (heard.text, heard.thoughts)
    assert [(f"call_{index}", call["name"], json.loads(call["arguments"])) for index, call in enumerate(calls)] == [
        (call["id"], call["name"], json.loads(call["arguments"] or "{}")) for call in heard.calls
    ]
    assert (["tool_calls" if calls else "stop"], 3, 4) == (
        heard.finish, heard.usage.prompt_tokens, heard.usage.completion_tokens
    )  # fmt: skip


@given(text=st.just("") | WORDS, calls=CALLS)
def test_a_message_for_a_client_says_what_was_said(text: str, calls: list[dict[str, str]]) -> None:
    made = [tool_call(f"call_{index}", call["name"], call["arguments"]) for index, call in enumerate(calls)]
    message = {"content": text or None, **({"tool_calls": made} if made else {})}
    answer = chat_completion("chatcmpl-a", 7, "m", message, "tool_calls" if made else "stop", usage_of(3, 4))
    written = CLIENT_WIRES[Wire.MESSAGES].from_chat(answer, speaking(Wire.MESSAGES))

    back = DIALECTS["anthropic"].read(written, READING)
    assert isinstance(back, bytes)
    choice = json.loads(back)["choices"][0]
    assert text == (choice["message"]["content"] or "")
    expected = [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]
    assert expected == [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in choice["message"].get("tool_calls", ())
    ]
    assert ("tool_calls" if made else "stop") == choice["finish_reason"]
