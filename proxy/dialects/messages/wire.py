"""Anthropic's Messages as a language of clients: `/v1/messages` and `/v1/messages/count_tokens`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw

from proxy.core.errors import ClientError, bad_request
from proxy.core.failure import Failure
from proxy.core.request import Body, ModelRequest, check_list, is_streamed, model_of, top_level
from proxy.core.wire import Wire
from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.client_wire import Encoder, EventReader, Speaking
from proxy.dialects.dialect import NotCarriedError, Reading, Translator
from proxy.dialects.failures import classify_in_band
from proxy.dialects.messages import answers, asking, counting, errors, passing
from proxy.dialects.messages.encoder import MessagesEncoder
from proxy.dialects.openai.chat import Completion
from proxy.dialects.raw_json import NULL

_MOST_DIGITS: Final = 9


class MessagesWire:
    """As `ClientWire`."""

    wire = Wire.MESSAGES
    names: Mapping[str, Sequence[str]] = {
        "max_completion_tokens": ("max_tokens",),
        "parallel_tool_calls": ("tool_choice.disable_parallel_tool_use",),
        "reasoning_effort": ("thinking", "output_config"),
        "response_format": ("output_config", "output_format"),
        "stop": ("stop_sequences",),
        "user": ("metadata",),
    }

    def parse(self, body: Body) -> ModelRequest:
        """Understand a request body. Raises ClientError (400) that names the field and the cure."""
        fields = top_level(body)
        model = model_of(fields)
        check_list(fields, "messages")
        cap = bytes(fields.get("max_tokens", NULL))
        if cap == b"null":
            raise bad_request("max_tokens: Field required", param="max_tokens")
        if not cap.isdigit() or len(cap) > _MOST_DIGITS:
            raise bad_request("max_tokens: Input should be a valid integer, 0 or more", param="max_tokens")
        # Usage is part of every stream.
        return ModelRequest(fields, model, is_streamed(fields), include_usage=True, wire=Wire.MESSAGES)

    def to_chat(self, request: ModelRequest, *, extensions: bool = True) -> Mapping[str, Raw]:
        """The same request as a chat completion's top level. Raises NotCarriedError, and ClientError (400).

        `extensions` as in `asking.py: chat_fields`. What is left out without harm is told by `dropped`.
        """
        return asking.chat_fields(request, extensions=extensions)

    def dropped(self, request: ModelRequest) -> tuple[str, ...]:
        """What `to_chat` leaves out: fields, and the types of tools as `tools.<type>`."""
        return asking.dropped(request)

    def from_chat(self, answer: bytes, speaking: Speaking) -> bytes:
        """A whole chat completion, found good, as a message."""
        return answers.message(answer, speaking)

    def encoder(self, speaking: Speaking) -> Encoder:
        """For one stream."""
        return MessagesEncoder(speaking)

    def error_body(self, error: ClientError, request_id: str) -> bytes:
        """The body of an error answer."""
        return errors.error_body(error, request_id)

    def read(self, body: bytes, kind: str, now: float) -> Completion | Failure:
        """A whole message, or the failure that it is. Never raises."""
        return passing.read_message(body, kind, now)

    def event_reader(self) -> EventReader:
        """For one stream."""
        return passing.MessagesEvents()

    def failure(self, data: bytes, kind: str, now: float) -> Failure:
        """The failure that an error event is. Never raises."""
        return classify_in_band(kind, data, now)

    def broken(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """As `Encoder.error`, for a stream whose events passed through."""
        return errors.error_event(message, code, reason=reason, retryable=retryable)

    def to_chat_events(self, reading: Reading) -> Translator:
        """Its events as chat events: what was said, should somebody else have to go on with it."""
        return ANTHROPIC.translator(reading)


class CountingWire(MessagesWire):
    """The count of a Messages request's tokens: a request without a cap, and an answer that is a number."""

    wire = Wire.COUNT_TOKENS

    def parse(self, body: Body) -> ModelRequest:
        """Understand a request body. Raises ClientError (400) that names the field and the cure."""
        fields = top_level(body)
        model = model_of(fields)
        check_list(fields, "messages")
        return ModelRequest(fields, model, wire=Wire.COUNT_TOKENS)

    def to_chat(self, request: ModelRequest, *, extensions: bool = True) -> Mapping[str, Raw]:  # noqa: ARG002 - never
        """Raises NotCarriedError, always."""
        raise NotCarriedError("This deployment does not count tokens.", "model")

    def read(self, body: bytes, kind: str, now: float) -> Completion | Failure:
        """A count, or the failure that it is. Never raises."""
        return counting.read_count(body, kind, now)


MESSAGES: Final = MessagesWire()
COUNTING: Final = CountingWire()
