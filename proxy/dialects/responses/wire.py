"""OpenAI's responses wire, as clients speak it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw

from proxy.core.errors import ClientError
from proxy.core.failure import Failure
from proxy.core.request import Body, ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Encoder, EventReader, LastUsage, Speaking
from proxy.dialects.dialect import Reading, Translator
from proxy.dialects.openai.chat import Completion
from proxy.dialects.responses.encoder import ResponsesEncoder
from proxy.dialects.responses.from_chat import from_chat
from proxy.dialects.responses.reading import broken, event_reader, failure_of, read_response
from proxy.dialects.responses.request import parse_responses
from proxy.dialects.responses.to_chat import dropped, to_chat
from proxy.dialects.responses.translator import ResponsesTranslator
from proxy.dialects.responses.usage import usage_of_event


class ResponsesWire:
    """Implements `ClientWire`."""

    wire = Wire.RESPONSES
    names: Mapping[str, Sequence[str]] = {
        "max_completion_tokens": ("max_output_tokens",),
        "reasoning_effort": ("reasoning",),
        "response_format": ("text",),
        "verbosity": ("text",),
    }

    def parse(self, body: Body) -> ModelRequest:
        """As `ClientWire.parse`."""
        return parse_responses(body)

    def to_chat(self, request: ModelRequest) -> Mapping[str, Raw]:
        """As `ClientWire.to_chat`."""
        return to_chat(request)

    def dropped(self, request: ModelRequest) -> tuple[str, ...]:
        """As `ClientWire.dropped`."""
        return dropped(request)

    def from_chat(self, answer: bytes, speaking: Speaking) -> bytes:
        """As `ClientWire.from_chat`."""
        return from_chat(answer, speaking)

    def encoder(self, speaking: Speaking) -> Encoder:
        """As `ClientWire.encoder`."""
        return ResponsesEncoder(speaking)

    def error_body(self, error: ClientError, request_id: str) -> bytes:  # noqa: ARG002 - it is told in a header
        """As `ClientWire.error_body`."""
        return error.body()

    def read(self, body: bytes, kind: str, now: float) -> Completion | Failure:
        """As `ClientWire.read`."""
        return read_response(body, kind, now)

    def event_reader(self) -> EventReader:
        """As `ClientWire.event_reader`. The last event is `DONE`, and finishes the answer."""
        return LastUsage(event_reader(), usage_of_event)

    def failure(self, data: bytes, kind: str, now: float) -> Failure:
        """The failure that the data of an event is that was read as `ERROR`. Never raises."""
        return failure_of(data, kind, now)

    def broken(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """As `ClientWire.broken`."""
        return broken(message, code, reason=reason, retryable=retryable)

    def to_chat_events(self, reading: Reading) -> Translator:
        """As `ClientWire.to_chat_events`."""
        return ResponsesTranslator(reading)


RESPONSES = ResponsesWire()
