"""OpenAI's completions wire of old, as clients speak it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw

from proxy.core.errors import ClientError, error_event
from proxy.core.failure import Failure
from proxy.core.request import Body, ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Encoder, EventReader, LastUsage, Speaking
from proxy.dialects.completions.encoder import CompletionsEncoder, from_chat
from proxy.dialects.completions.reading import CompletionsTranslator, read_completion, read_event
from proxy.dialects.completions.request import parse_completions, to_chat
from proxy.dialects.dialect import Reading, Translator
from proxy.dialects.failures import classify_in_band
from proxy.dialects.openai.chat import Completion


class CompletionsWire:
    """Implements `ClientWire`."""

    wire = Wire.COMPLETIONS
    names: Mapping[str, Sequence[str]] = {}

    def parse(self, body: Body) -> ModelRequest:
        """As `ClientWire.parse`."""
        return parse_completions(body)

    def to_chat(self, request: ModelRequest) -> Mapping[str, Raw]:
        """As `ClientWire.to_chat`."""
        return to_chat(request)

    def dropped(self, request: ModelRequest) -> tuple[str, ...]:  # noqa: ARG002 - there is never any
        """As `ClientWire.dropped`."""
        return ()

    def from_chat(self, answer: bytes, speaking: Speaking) -> bytes:
        """As `ClientWire.from_chat`."""
        return from_chat(answer, speaking)

    def encoder(self, speaking: Speaking) -> Encoder:
        """As `ClientWire.encoder`."""
        return CompletionsEncoder(speaking)

    def error_body(self, error: ClientError, request_id: str) -> bytes:  # noqa: ARG002 - it is told in a header
        """As `ClientWire.error_body`."""
        return error.body()

    def read(self, body: bytes, kind: str, now: float) -> Completion | Failure:
        """As `ClientWire.read`."""
        return read_completion(body, kind, now)

    def event_reader(self) -> EventReader:
        """As `ClientWire.event_reader`."""
        return LastUsage(read_event, lambda data: data if b'"usage"' in data else None)

    def failure(self, data: bytes, kind: str, now: float) -> Failure:
        """As `ClientWire.failure`."""
        return classify_in_band(kind, data, now)

    def broken(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """As `ClientWire.broken`."""
        return error_event(message, code, reason=reason, retryable=retryable)

    def to_chat_events(self, reading: Reading) -> Translator:
        """As `ClientWire.to_chat_events`."""
        return CompletionsTranslator(reading)


COMPLETIONS = CompletionsWire()
