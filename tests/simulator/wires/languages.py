"""The languages of upstreams, for tests that are the same in each: how to ask, and how to read what comes."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer

from tests.simulator.conftest import Wire

USER = {"role": "user", "content": "Hi"}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def sse(body: bytes) -> list:
    """The documents of a stream in any spelling that the standard allows; what is no JSON stays text."""
    text = re.sub("\r\n|\r", "\n", body.decode("utf-8", "replace").removeprefix("\ufeff"))
    blocks = [
        [line[5:].removeprefix(" ") for line in block.split("\n") if line[:5] == "data:"]
        for block in text.split("\n\n")
    ]
    return [loaded("\n".join(lines)) for lines in blocks if lines]


def lines(body: bytes) -> list:
    return [loaded(line) for line in body.decode("utf-8", "replace").splitlines() if line]


def frames(body: bytes) -> list:
    buffer, read = EventStreamBuffer(), []
    buffer.add_data(body)
    try:
        for message in buffer:
            name = message.headers.get(":event-type") or message.headers.get(":exception-type")
            read.append(loaded(message.payload.decode(), name))
    except ChecksumMismatch:
        read.append("checksum")
    return read


def loaded(text: str, name: str | None = None):
    try:
        document = json.loads(text)
    except ValueError:
        return text
    return {name: document} if name else document


def at(document, *path):
    for key in path:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return None
    return document


@dataclass(frozen=True)
class Spoken:
    """A language: how to ask in it, and how to read what comes."""

    path: str
    body: dict
    read: Callable[[bytes], list]
    word: tuple
    """Where a streamed document has its word."""
    text: tuple
    """Where the JSON answer has its text."""
    done: Callable[[dict], bool]
    """Whether a document is the marker that all was said."""
    error: tuple
    """Where a streamed document has an error."""
    filtered: tuple
    """Where a document says that it was filtered, and how."""
    kind: str = "text/event-stream; charset=utf-8"
    stream_path: str = ""
    json_error: tuple = ("error",)
    flag: bool = True
    """Whether a member of the body asks for a stream."""

    def asking(self, *, stream: bool) -> tuple[str, dict]:
        if not self.flag:
            return (self.stream_path if stream else self.path), self.body
        return self.path, {**self.body, "stream": stream}


WIRES = {
    "openai_chat": Spoken(
        "/v1/chat/completions",
        {"model": "m", "messages": [USER]},
        sse,
        ("choices", 0, "delta", "content"),
        ("choices", 0, "message", "content"),
        lambda one: one == "[DONE]",
        ("error",),
        ("choices", 0, "finish_reason", "content_filter"),
    ),
    "openai_completions": Spoken(
        "/v1/completions",
        {"model": "m", "prompt": "Hi", "max_tokens": 99},
        sse,
        ("choices", 0, "text"),
        ("choices", 0, "text"),
        lambda one: one == "[DONE]",
        ("error",),
        ("choices", 0, "finish_reason", "content_filter"),
    ),
    "openai_responses": Spoken(
        "/v1/responses",
        {"model": "m", "input": "Hi"},
        sse,
        ("delta",),
        ("output", 0, "content", 0, "text"),
        lambda one: at(one, "type") in {"response.completed", "response.incomplete"},
        ("response", "error"),
        ("response", "incomplete_details", "reason", "content_filter"),
    ),
    "anthropic": Spoken(
        "/v1/messages",
        {"model": "m", "max_tokens": 99, "messages": [USER]},
        sse,
        ("delta", "text"),
        ("content", 0, "text"),
        lambda one: at(one, "type") == "message_stop",
        ("error",),
        ("delta", "stop_reason", "refusal"),
    ),
    "gemini": Spoken(
        "/v1beta/models/m:generateContent",
        GEMINI,
        sse,
        ("candidates", 0, "content", "parts", 0, "text"),
        ("candidates", 0, "content", "parts", 0, "text"),
        lambda one: bool(at(one, "candidates", 0, "finishReason")),
        ("error",),
        ("candidates", 0, "finishReason", "SAFETY"),
        stream_path="/v1beta/models/m:streamGenerateContent?alt=sse",
        flag=False,
    ),
    "ollama": Spoken(
        "/api/chat",
        {"model": "m", "messages": [USER]},
        lines,
        ("message", "content"),
        ("message", "content"),
        lambda one: at(one, "done") is True,
        ("error",),
        ("done_reason", "stop"),
        kind="application/x-ndjson",
    ),
    "bedrock": Spoken(
        "/model/m/converse",
        CONVERSE,
        frames,
        ("contentBlockDelta", "delta", "text"),
        ("output", "message", "content", 0, "text"),
        lambda one: bool(at(one, "messageStop")),
        ("internalServerException",),
        ("messageStop", "stopReason", "content_filtered"),
        kind="application/vnd.amazon.eventstream",
        stream_path="/model/m/converse-stream",
        json_error=("message",),
        flag=False,
    ),
}
VECTORS = {
    "openai_embeddings": ("/v1/embeddings", {"model": "m", "input": "Hi"}, ("data", 0, "embedding")),
    "gemini_embeddings": (
        "/v1beta/models/m:embedContent",
        {"content": {"parts": [{"text": "Hi"}]}},
        ("embedding", "values"),
    ),
    "ollama_embed": ("/api/embed", {"model": "m", "input": "Hi"}, ("embeddings", 0)),
}
SPEAKS_SSE = [name for name, spoken in WIRES.items() if spoken.read is sse]


class Heard:
    """What arrived, read in its language."""

    def __init__(self, spoken: Spoken, wire: Wire) -> None:
        self.end, self.status, self.headers, self.raw, self.body = (
            wire.end,
            wire.status,
            wire.headers,
            wire.raw,
            wire.body,
        )
        plain = gzip.decompress(wire.body) if wire.headers.get("content-encoding") == "gzip" else wire.body
        self.documents = spoken.read(plain)
        self.pieces = [piece for one in self.documents if isinstance(piece := at(one, *spoken.word), str)]
        self.text = "".join(self.pieces)
        self.done = any(spoken.done(one) for one in self.documents)
        self.error = any(at(one, *spoken.error) for one in self.documents)
        *place, value = spoken.filtered
        self.filtered = any(at(one, *place) == value for one in self.documents)
        self.broken = sum(isinstance(one, str) and one != "[DONE]" for one in self.documents)

    @property
    def told(self) -> tuple:
        return self.end, self.text, self.done, self.error


each_wire = pytest.mark.parametrize("name", WIRES)
each_wire_and_vectors = pytest.mark.parametrize("name", [*WIRES, *VECTORS])
