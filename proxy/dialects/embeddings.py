"""OpenAI's embeddings wire: texts in, vectors out. No chat completion is like it, so nothing of it is translated.

Vectors are never decoded: a batch of them is megabytes of numbers, of which nothing is to be known but how many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import ClientError, bad_request, error_event
from proxy.core.failure import Failure
from proxy.core.request import Body, ModelRequest, is_streamed, model_of, top_level
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Encoder, EventReader, Speaking
from proxy.dialects.dialect import NotCarriedError, Reading, Translator
from proxy.dialects.failures import classify_in_band
from proxy.dialects.lenient_json import peek
from proxy.dialects.no_answer import bad_answer, no_answer, without_bom
from proxy.dialects.openai.chat import Completion
from proxy.dialects.raw_json import NULL

_QUOTE, _BRACKET = ord('"'), ord("[")
_FIRST_OF_NUMBER = frozenset(b"-0123456789[")
_NUMBER = frozenset(b"-0123456789")
_FIRST_VECTOR = re.compile(rb'"embedding"\s*:\s*(?:\[\s*)?(\[[^][]*+\]|"[^"]*+")')
"""Of one vector for each token, the first."""
_FORMATS = (Raw(b'"float"'), Raw(b'"base64"'), NULL)
_MOST_DIGITS = 9
_NEVER = "embeddings are never written as, or read from, chat completions"


class _Vector(Struct, gc=False):
    embedding: Raw = NULL


class _Vectors(Struct, gc=False):
    data: list[_Vector] | None = None
    error: Raw = NULL
    usage: Raw = NULL


_decode = msgspec.json.Decoder(_Vectors).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


class EmbeddingsWire:
    """Implements `ClientWire`, as far as embeddings go: no answer is ever streamed or translated."""

    wire = Wire.EMBEDDINGS
    names: Mapping[str, Sequence[str]] = {}

    def parse(self, body: Body) -> ModelRequest:
        """As `ClientWire.parse`."""
        fields = top_level(body)
        model = model_of(fields)
        given = fields.get("input", NULL)
        if given == NULL:
            raise bad_request("Missing required field: 'input'.", param="input")
        if memoryview(given)[0] not in {_QUOTE, _BRACKET}:
            raise bad_request("'input' must be a string or an array.", param="input")
        if len(_items(given)) == 0 and memoryview(given)[0] == _BRACKET:
            raise bad_request("'input' must not be empty.", param="input")
        if fields.get("encoding_format", NULL) not in _FORMATS:
            raise bad_request("'encoding_format' must be 'float' or 'base64'.", param="encoding_format")
        if (dimensions := fields.get("dimensions", NULL)) != NULL and not _is_count(dimensions):
            raise bad_request("'dimensions' must be a positive integer.", param="dimensions")
        if is_streamed(fields):
            raise bad_request("Embeddings are not streamed; leave 'stream' out.", param="stream")
        return ModelRequest(fields, model, wire=Wire.EMBEDDINGS)

    def inputs(self, request: ModelRequest) -> int:
        """How many vectors a request asks for. A list of tokens is one input."""
        given = request.fields["input"]
        items = _items(given)
        return len(items) if items and memoryview(items[0])[0] not in _NUMBER else 1

    def to_chat(self, request: ModelRequest) -> Mapping[str, Raw]:  # noqa: ARG002 - none can be carried
        """Raises NotCarriedError, always."""
        raise NotCarriedError("This deployment has no embeddings.", "model")

    def dropped(self, request: ModelRequest) -> tuple[str, ...]:  # noqa: ARG002 - there is never any
        """As `ClientWire.dropped`."""
        return ()

    def from_chat(self, answer: bytes, speaking: Speaking) -> bytes:  # noqa: ARG002 - never
        """Nothing is ever asked that could be answered so."""
        raise AssertionError(_NEVER)

    def encoder(self, speaking: Speaking) -> Encoder:  # noqa: ARG002 - never
        """Nothing is ever streamed."""
        raise AssertionError(_NEVER)

    def error_body(self, error: ClientError, request_id: str) -> bytes:  # noqa: ARG002 - it is told in a header
        """As `ClientWire.error_body`."""
        return error.body()

    def read(self, body: bytes, kind: str, now: float, inputs: int | None = None) -> Completion | Failure:
        """As `ClientWire.read`. `inputs`: how many vectors there must be; None takes any number but none.

        The codes are those of `no_answer`, and `empty_answer`: there are no vectors, or not as many as were asked for.
        """
        body = without_bom(body)
        answer = peek(_decode, body)
        if answer is None:
            return no_answer(body, "a list of embeddings", kind, now)
        if answer.error != NULL:
            return classify_in_band(kind, body, now)
        if answer.data is None:
            return no_answer(body, "a list of embeddings", kind, now)
        count = len(answer.data)
        if not count or (inputs is not None and count != inputs):
            return bad_answer("empty_answer", f"the answer holds {count} of {inputs or 'the'} embeddings")
        if not all(_is_vector(vector.embedding) for vector in answer.data):
            return bad_answer("wrong_schema", "an embedding of the answer holds no numbers")
        return Completion(body, None if answer.usage == NULL else bytes(answer.usage))

    def dimension_of(self, body: bytes) -> int | None:
        """How many numbers the first vector of an answer has; None if that cannot be told. Never raises.

        For answers that `read` found good: only the beginning is looked at.
        """
        found = _FIRST_VECTOR.search(body)
        if found is None:
            return None
        vector = found[1]
        if vector[:1] == b'"':
            # Four characters are three bytes, four bytes are one number; some encoders escape every slash.
            return (len(vector) - 2 - vector.count(b"\\/") - vector.count(b"=")) * 3 // 4 // 4 or None
        numbers = vector[1:-1].strip()
        return numbers.count(b",") + 1 if numbers else None

    def event_reader(self) -> EventReader:
        """Nothing is ever streamed."""
        raise AssertionError(_NEVER)

    def failure(self, data: bytes, kind: str, now: float) -> Failure:
        """As `ClientWire.failure`."""
        return classify_in_band(kind, data, now)

    def broken(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """As `ClientWire.broken`."""
        return error_event(message, code, reason=reason, retryable=retryable)

    def to_chat_events(self, reading: Reading) -> Translator:  # noqa: ARG002 - never
        """Nothing is ever streamed."""
        raise AssertionError(_NEVER)


EMBEDDINGS = EmbeddingsWire()


def _items(given: Raw) -> Sequence[Raw]:
    """The items of a list; none of a text."""
    if memoryview(given)[0] != _BRACKET:
        return ()
    try:
        return _decode_items(given)
    except (ValueError, RecursionError):
        return ()


def _is_count(value: Raw) -> bool:
    raw = bytes(value)
    return raw.isdigit() and raw[:1] != b"0" and len(raw) <= _MOST_DIGITS


def _is_vector(embedding: Raw) -> bool:
    """Whether it is a text in base64, or a list that begins with a number. Some servers tell what is none as null."""
    head = bytes(memoryview(embedding)[:64])
    if head[0] == _QUOTE:
        return len(embedding) > 2
    return head[0] == _BRACKET and (head[1:].lstrip()[:1] or b"?")[0] in _FIRST_OF_NUMBER
