"""What an upstream that speaks the responses wire may say."""

from __future__ import annotations

import json
from typing import Any

from proxy.dialects.chat_events import usage_of

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 17,
}
CHAT_USAGE = usage_of(10, 7, cached=4, thought=3)
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
THOUGHTS = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
HIDDEN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def data(name: str, **more: Any) -> bytes:
    return json.dumps({"type": name, "sequence_number": 1, **more}).encode()
