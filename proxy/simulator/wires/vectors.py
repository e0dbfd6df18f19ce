"""Embeddings: vectors that depend on the text and on nothing else, for the languages that ask for them."""

from __future__ import annotations

import base64
import math
import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.simulator.events import Document
from proxy.simulator.question import BadRequestError, Question, member, objects, text_of
from proxy.simulator.wires.gemini import Gemini
from proxy.simulator.wires.gemini_checks import camel
from proxy.simulator.wires.ollama import OllamaErrors, durations, read_object
from proxy.simulator.wires.openai_chat import positive, read_model
from proxy.simulator.wires.openai_errors import OpenAIWire
from proxy.simulator.wires.wire import Call, Exchange

_DIMENSIONS = 8
_MOST_DIMENSIONS = 4096
_GEMINI_FIELDS = {"model", "content", "taskType", "title", "outputDimensionality", "requests"}


def vector(text: str, dimensions: int | None) -> list[float]:
    """A vector of length 1, in numbers that 32 bits hold."""
    luck = random.Random(text.encode("utf-8", "surrogatepass"))
    drawn = [luck.gauss(0, 1) for _ in range(dimensions or _DIMENSIONS)]
    length = math.sqrt(sum(one * one for one in drawn)) or 1.0
    return [struct.unpack("<f", struct.pack("<f", one / length))[0] for one in drawn]


def inputs_of(value: object) -> list[str]:
    """The texts to embed: one, a list of them, or lists of token numbers; empty where it is none of these."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        return []
    if all(isinstance(one, int) for one in value):
        return [" ".join(map(str, value))]
    if all(isinstance(one, str) for one in value):
        return list(value)
    if all(isinstance(one, list) and all(isinstance(number, int) for number in one) for one in value):
        return [" ".join(map(str, one)) for one in value]
    return []


def _question(asked: Mapping[str, Any], model: str, texts: Sequence[str]) -> Question:
    return Question(model=model, messages=[{"role": "user", "content": text} for text in texts], body=asked)


def _vectors(exchange: Exchange, dimensions: int | None) -> list[list[float]]:
    """One for each text; none where the answer is empty."""
    said = exchange.answer.choices[0].tokens
    return [vector(text, dimensions) for text in inputs_of(exchange.asked.body["input"])] if said else []


def _count(exchange: Exchange) -> int:
    return sum(len(text.split()) for text in inputs_of(exchange.asked.body["input"]))


class OpenAIEmbeddings(OpenAIWire):
    """/v1/embeddings."""

    name = "openai_embeddings"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = call.document()
        model = call.groups.get("model") or read_model(asked)
        if asked.get("input") is None:
            raise BadRequestError("Missing required parameter: 'input'.", "input")
        texts = inputs_of(asked["input"])
        if not texts or len(texts) > 2048 or not all(texts):
            raise BadRequestError("'$.input' is invalid. Please check the API reference.", "input")
        positive(asked, "dimensions", _MOST_DIMENSIONS)
        if asked.get("encoding_format", "float") not in {"float", "base64"}:
            raise BadRequestError("Invalid 'encoding_format': expected 'float' or 'base64'.", "encoding_format")
        return _question(asked, model, texts)

    def streams(self, call: Call) -> bool:
        """Never."""
        return False

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The texts."""
        return [{"role": "user", "content": text} for text in inputs_of(fields.get("input"))]

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        asked = exchange.asked.body
        packed = asked.get("encoding_format") == "base64"
        rows = [
            {"object": "embedding", "index": index, "embedding": _packed(one) if packed else one}
            for index, one in enumerate(_vectors(exchange, asked.get("dimensions")))
        ]
        count = _count(exchange)
        usage = {"prompt_tokens": count, "total_tokens": count}
        return {"object": "list", "data": rows, "model": exchange.answer.model, "usage": usage}


def _packed(numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


class OllamaEmbed(OllamaErrors):
    """/api/embed."""

    name = "ollama_embed"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = read_object(call)
        texts = inputs_of(asked.get("input"))
        if not texts:
            raise BadRequestError("invalid input type", "input")
        positive(asked, "dimensions", _MOST_DIMENSIONS)
        return _question(asked, asked["model"], texts)

    def streams(self, call: Call) -> bool:
        """Never."""
        return False

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The texts."""
        return [{"role": "user", "content": text} for text in inputs_of(fields.get("input"))]

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        return {
            "model": exchange.answer.model,
            "embeddings": _vectors(exchange, exchange.asked.body.get("dimensions")),
            **durations(0),
            "prompt_eval_count": _count(exchange),
        }


class GeminiEmbed(Gemini):
    """embedContent."""

    name = "gemini_embeddings"

    def read(self, call: Call) -> Question:
        """What is asked. Raises BadRequestError."""
        asked = camel(call.document())
        for request in self.requests(asked):
            for name in request:
                if name not in _GEMINI_FIELDS:
                    raise BadRequestError(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
            positive(request, "outputDimensionality", _MOST_DIMENSIONS)
        texts = [text_of(turn) for turn in self.messages(asked)]
        if not texts or not all(texts):
            raise BadRequestError("* EmbedContentRequest.content: content is empty\n", "content")
        return _question(asked, call.groups["model"], texts)

    def messages(self, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The texts."""
        return [
            {"role": "user", "content": objects(member(one, "content", "parts"))}
            for one in self.requests(camel(fields))
        ]

    def requests(self, asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """One for each text."""
        return [asked]

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        return {"embedding": vectors[0]} if (vectors := self.vectors(exchange)) else {}

    def vectors(self, exchange: Exchange) -> list[Document]:
        """One for each text; none where the answer is empty."""
        if not exchange.answer.choices[0].tokens:
            return []
        sizes = [one.get("outputDimensionality") for one in self.requests(exchange.asked.body)]
        return [
            {"values": vector(text_of(turn), size)} for turn, size in zip(exchange.asked.messages, sizes, strict=True)
        ]


class GeminiEmbedBatch(GeminiEmbed):
    """batchEmbedContents."""

    def requests(self, asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """One for each text."""
        return objects(asked.get("requests"))

    def document(self, exchange: Exchange) -> Document:
        """The JSON answer."""
        return {"embeddings": self.vectors(exchange)}
