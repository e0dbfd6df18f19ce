"""Anthropic's Messages as a language of clients."""

from __future__ import annotations

import pytest

from proxy.core.errors import ClientError
from proxy.core.wire import Wire
from proxy.dialects.chat_events import DONE, ChatEvents, Chunk, read_chunks
from proxy.dialects.client_wire import ClientWire
from proxy.dialects.dialect import Reading
from proxy.dialects.messages.errors import error_event
from proxy.dialects.messages.passing import MessagesEvents
from proxy.dialects.messages.wire import COUNTING, MESSAGES
from proxy.streams.event_view import EventKind
from tests.dialects.messages.oracle import speaking


def test_it_is_a_language_of_clients() -> None:
    wire: ClientWire = MESSAGES
    assert Wire.MESSAGES is wire.wire


def test_a_request() -> None:
    request = MESSAGES.parse(b'{"model":"fast","max_tokens":5,"messages":[],"stream":true}')
    assert ("fast", True, True, Wire.MESSAGES) == (request.model, request.stream, request.include_usage, request.wire)


def test_a_request_for_a_count_needs_no_cap() -> None:
    request = COUNTING.parse(b'{"model":"fast","messages":[]}')
    assert ("fast", False, Wire.COUNT_TOKENS) == (request.model, request.stream, request.wire)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b"[]", "object"),
        (b'{"max_tokens":5,"messages":[]}', "'model'"),
        (b'{"model":"m","max_tokens":5}', "'messages'"),
        (b'{"model":"m","max_tokens":5,"messages":{}}', "'messages'"),
        (b'{"model":"m","messages":[]}', "max_tokens: Field required"),
        (b'{"model":"m","messages":[],"max_tokens":null}', "max_tokens: Field required"),
        (b'{"model":"m","messages":[],"max_tokens":"5"}', "max_tokens: Input should be a valid integer"),
        (b'{"model":"m","messages":[],"max_tokens":-5}', "max_tokens: Input should be a valid integer"),
        (b'{"model":"m","messages":[],"max_tokens":5.5}', "max_tokens: Input should be a valid integer"),
        (b'{"model":"m","messages":[],"max_tokens":%b}' % (b"9" * 5000), "max_tokens: Input should be a valid integer"),
        (b'{"model":"m","messages":[],"max_tokens":5,"stream":1}', "'stream'"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, message: str) -> None:
    with pytest.raises(ClientError) as raised:
        MESSAGES.parse(body)
    assert 400 == raised.value.status
    assert message in raised.value.message


def test_streams_that_pass_through() -> None:
    assert isinstance(MESSAGES.event_reader(), MessagesEvents)
    assert EventKind.DONE is MESSAGES.event_reader()(b'{"type":"message_stop"}').kind
    told = {"reason": "no one is left", "retryable": False}
    assert error_event("It broke.", "c", reason="r", retryable=True) == MESSAGES.broken(
        "It broke.", "c", reason="r", retryable=True
    )
    assert b'"api_error"' in MESSAGES.broken("It broke.", "c", **told)  # type: ignore[arg-type]


def test_its_events_go_back_into_chat() -> None:
    chat = ChatEvents("chatcmpl-1", 1, "fast")
    said = (
        chat.role()
        + chat.reasoning("Hm")
        + chat.text("Well, ")
        + chat.text("so")
        + chat.call(0, "call_1", "look")
        + chat.arguments(0, '{"at":1}')
        + chat.finish("tool_calls")
        + DONE
    )
    stream = MESSAGES.encoder(speaking()).feed(said)
    back = MESSAGES.to_chat_events(Reading("fast", "chatcmpl-1", 1)).feed(stream)
    chunks = [chunk for chunk in read_chunks(back) if isinstance(chunk, Chunk)]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices or () if choice.delta is not None]
    assert "Well, so" == "".join(delta.content or "" for delta in deltas)
    assert "Hm" == "".join(delta.reasoning_content or "" for delta in deltas)
    functions = [call.function for delta in deltas for call in delta.tool_calls or () if call.function is not None]
    assert '{"at":1}' == "".join(function.arguments or "" for function in functions)
    assert back.endswith(DONE)
