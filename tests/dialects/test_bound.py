"""What only the account that made it can read: how its refusal is understood, and how a request is cleaned of it."""

import json

import msgspec
import pytest
from msgspec import Raw

from proxy.core.failure import FailureClass
from proxy.core.wire import Wire
from proxy.dialects.bound import BOUND, EXTENSIONS, without_bound, without_extensions
from proxy.dialects.failures import classify


def body(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"type": "invalid_request_error", "message": message, "code": code}}).encode()


REFUSALS = [
    body("messages.1.content.0: Invalid `signature` in `thinking` block"),
    body("`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified."),
    body("Thought signature is not valid."),
    body("The encrypted content gAAA... could not be verified.", "invalid_encrypted_content"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_of_this_request_alone(refusal: bytes) -> None:
    failure = classify("anthropic", 400, {}, refusal, 0.0)
    assert (FailureClass.PARAMETER_UNSUPPORTED, BOUND, True) == (failure.kind, failure.param, failure.value_only)


def test_a_history_without_thoughts_is_asked_again_without_thinking() -> None:
    """litellm#18926."""
    message = "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    failure = classify("anthropic", 400, {}, body(message), 0.0)
    assert ("reasoning_effort", True) == (failure.param, failure.value_only)


def cleaned(name: str, items: list[object], wire: Wire) -> object:
    fields = {name: Raw(json.dumps(items).encode()), "model": Raw(b'"m"')}
    return msgspec.json.decode(without_bound(fields, wire)[name])


def test_messages_lose_thoughts_and_keep_what_was_said() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said = {"type": "text", "text": "hello"}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thought, said]},
        {"role": "assistant", "content": [thought]},
    ]
    assert [messages[0], {"role": "assistant", "content": [said]}] == cleaned("messages", messages, Wire.MESSAGES)


def test_chat_loses_signatures_and_keeps_calls() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "x"}}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [signed], "thinking_blocks": [{}]}]
    expected = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    assert expected == cleaned("messages", messages, Wire.CHAT)


def test_responses_lose_encrypted_reasoning() -> None:
    items = [{"type": "reasoning", "encrypted_content": "x"}, {"type": "message", "role": "user", "content": "hi"}]
    assert items[1:] == cleaned("input", items, Wire.RESPONSES)


UNKNOWN = [
    (
        b'{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","tools",0,"cache_control"],'
        b'"msg":"Extra inputs are not permitted","input":{"type":"ephemeral"}}]},"type":"invalid_request_error"}'
    ),
    (
        b'{"error":{"message":"Unknown parameter: \'messages[1].thinking_blocks\'.","code":"unknown_parameter",'
        b'"param":"messages[1].thinking_blocks"}}'
    ),
    (
        b'{"detail":[{"type":"extra_forbidden","loc":["body","messages",1,"assistant","reasoning_content"],'
        b'"msg":"Extra inputs are not permitted"}]}'
    ),
]


@pytest.mark.parametrize("refusal", UNKNOWN)
def test_members_that_are_not_known_are_remembered(refusal: bytes) -> None:
    failure = classify("openai", 400, {}, refusal, 0.0)
    assert (FailureClass.PARAMETER_UNSUPPORTED, EXTENSIONS, False) == (failure.kind, failure.param, failure.value_only)


def test_messages_without_extensions() -> None:
    part = {"type": "text", "text": "hi"}
    messages = [
        {"role": "user", "content": [{**part, "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": "a", "reasoning_content": "hm", "thinking_blocks": []},
    ]
    fields = {"messages": Raw(json.dumps(messages).encode())}
    expected = [{"role": "user", "content": [part]}, {"role": "assistant", "content": "a"}]
    assert expected == msgspec.json.decode(without_extensions(fields)["messages"])


def test_tools_without_extensions() -> None:
    schema = {"type": "object", "properties": {"reasoning": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    marked = {**tool, "cache_control": {"type": "ephemeral"}}
    fields = {"messages": Raw(b"[]"), "tools": Raw(json.dumps([marked]).encode())}

    assert [tool] == msgspec.json.decode(without_extensions(fields)["tools"])


@pytest.mark.parametrize("raw", [b'"text"', b"{}", b"[1, null]", b"[" * 2000])
def test_what_cannot_be_read_stays(raw: bytes) -> None:
    fields = {"messages": Raw(raw), "input": Raw(raw)}
    for wire in Wire:
        assert fields == without_bound(fields, wire)


MISSING = [
    body("Item with id 'rs_68' not found. Items are not persisted when `store` is set to false. Try again."),
    body("Item 'fc_68' of type 'function_call' was provided without its required 'reasoning' item: 'rs_68'."),
]


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("refusal", MISSING)
def test_an_item_that_another_account_keeps_is_no_end_of_a_model(refusal: bytes, status: int) -> None:
    failure = classify("openai", status, {}, refusal, 0.0)
    assert (FailureClass.PARAMETER_UNSUPPORTED, BOUND, True) == (failure.kind, failure.param, failure.value_only)


@pytest.mark.parametrize("what", ["Previous response with id 'resp_1'", "Response with id 'resp_1'"])
def test_a_missing_response_is_the_clients_affair(what: str) -> None:
    assert FailureClass.CALLER_FAULT is classify("vllm", 404, {}, body(f"{what} not found."), 0.0).kind


def test_items_lose_their_ids_with_the_thoughts_that_belong_to_them() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    said = {"type": "message", "role": "assistant", "content": []}
    searched = {"type": "web_search_call", "id": "ws_1"}
    items = [{"type": "reasoning", "id": "rs_1"}, {**said, "id": "msg_1"}, {**call, "id": "fc_1"}, searched]
    assert [said, call, searched] == cleaned("input", items, Wire.RESPONSES)
