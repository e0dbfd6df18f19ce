"""What the conformance matrix found: where one language of clients met another of upstreams."""

from __future__ import annotations

import json

from proxy.core.request import ModelRequest
from proxy.dialects.chat_events import ChatEvents
from proxy.dialects.client_wire import Speaking
from proxy.dialects.messages.wire import MESSAGES


def _messages_request(**more: object) -> ModelRequest:
    body = {"model": "route", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more}
    return MESSAGES.parse(json.dumps(body).encode())


def test_a_translated_message_names_the_model_that_answers() -> None:
    """It named the route; where the upstream speaks Messages itself, and everywhere else, it is the model."""
    speaking = Speaking(_messages_request(), "x", 1)
    chat = {"model": "gpt-4o", "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    assert "gpt-4o" == json.loads(MESSAGES.from_chat(json.dumps(chat).encode(), speaking))["model"]
    events = ChatEvents("chatcmpl-1", 1, "gpt-4o")
    stream = MESSAGES.encoder(speaking).feed(b": waiting\n\n" + events.role() + events.text("Hello"))
    assert stream.startswith(b"event: message_start\n")
    assert "gpt-4o" == json.loads(stream.split(b"\n")[1][6:])["message"]["model"]
