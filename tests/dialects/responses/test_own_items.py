"""Items that were made in translation, on their way to an upstream that would look them up."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from proxy.dialects.chat_events import chat_completion, tool_call
from proxy.dialects.responses.own_items import without_own_items
from proxy.dialects.responses.wire import RESPONSES
from tests.dialects.responses.oracle import speaking

ASKED = RESPONSES.parse(b'{"model":"route","input":"hi"}')
MESSAGE = {"content": "Hi.", "reasoning_content": "Hm.", "tool_calls": [tool_call("call_1", "f", "{}")]}
ANSWER = chat_completion("chatcmpl-1", 1, "m", MESSAGE, "tool_calls", None)


def left(items: list[Any]) -> Any:
    return msgspec.json.decode(without_own_items({"input": Raw(json.dumps(items).encode())})["input"])


def test_what_was_translated_is_sent_back_without_ids_and_thoughts() -> None:
    output = json.loads(RESPONSES.from_chat(ANSWER, speaking(ASKED)))["output"]
    assert ["reasoning", "message", "function_call"] == [item["type"] for item in output]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
    message, call = ({name: value for name, value in item.items() if name != "id"} for item in output[1:])
    assert [message, call, result] == left([*output, result])


def test_items_of_the_upstreams_own_stay_beside_ours() -> None:
    theirs = {"type": "reasoning", "id": "rs_68", "summary": [], "encrypted_content": "gAAA"}
    ours = json.loads(RESPONSES.from_chat(ANSWER, speaking(ASKED)))["output"][1]
    assert [theirs] == left([theirs, ours])[:1]


@pytest.mark.parametrize("raw", [b'"rs_hf0"', b'[{"id":"rs_68"}]', b'[1,"msg_hf00"]', b"[" * 2000 + b'"msg_hf00"'])
def test_everything_else_is_the_same_object(raw: bytes) -> None:
    fields = {"input": Raw(raw)}
    assert without_own_items(fields) is fields
