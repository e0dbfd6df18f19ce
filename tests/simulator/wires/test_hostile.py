"""Whatever a request holds, a language reads it or refuses it, and nothing else comes out."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.simulator.answers import Voice
from proxy.simulator.received import ReceivedRequest
from proxy.simulator.replies import facts_of, reply
from proxy.simulator.steps import Head
from proxy.simulator.wires.table import place_of

from .conftest import CITY, PIXEL

CALL = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "a", "arguments": "{}"}}]}
OLLAMA_CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": {}}}]}
FUNCTION = {"type": "function", "function": {"name": "a", "parameters": CITY}}
GEMINI_TOOLS = {
    "tools": [{"functionDeclarations": [{"name": "a", "parameters": CITY}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}},
}
FULL = {
    "/v1/chat/completions": {
        "model": "m", "stream": True, "stream_options": {"include_usage": True}, "n": 2, "stop": ["x"], "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, CALL],
        "tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "a"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": CITY}},
    },
    "/v1/completions": {"model": "m", "prompt": ["a", "b"], "n": 2, "max_tokens": 4, "stop": "x", "stream": True},
    "/v1/embeddings": {"model": "m", "input": ["a"], "dimensions": 4, "encoding_format": "base64"},
    "/v1/responses": {
        "model": "m", "instructions": "x", "max_output_tokens": 4, "stream": True, "reasoning": {"effort": "low"},
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "function_call", "call_id": "c", "name": "a", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text"}]},
        ],
        "tools": [{"type": "function", "name": "a", "parameters": CITY}], "tool_choice": "required",
        "text": {"format": {"type": "json_schema", "schema": CITY}},
    },
    "/v1/messages": {
        "model": "claude-sonnet-4-5", "max_tokens": 2000, "system": [{"type": "text", "text": "s"}], "temperature": 1,
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "a", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]},
            ]},
        ],
        "tools": [{"name": "a", "input_schema": CITY, "cache_control": {}}], "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "stop_sequences": ["x"], "stream": True,
        "output_config": {"format": {"type": "json_schema", "schema": CITY}},
    },
    "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse": {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "a", "args": {}}, "thoughtSignature": "c2ln"}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {"r": 1}}}]},
        ],
        "generationConfig": {
            "temperature": 1, "stopSequences": ["x"], "maxOutputTokens": 9, "candidateCount": 2,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1},
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"anyOf": [{}]}}},
        },
        **GEMINI_TOOLS,
    },
    "/api/chat": {
        "model": "m", "messages": [{"role": "user", "content": "a", "images": [PIXEL]}, OLLAMA_CALL], "format": CITY,
        "options": {"num_predict": 4, "stop": ["x"]}, "think": True, "tools": [FUNCTION], "keep_alive": 0,
    },
    "/api/embed": {"model": "m", "input": ["a"], "dimensions": 4},
    "/model/anthropic.claude-sonnet-4-5/converse-stream": {
        "messages": [
            {"role": "user", "content": [{"text": "a"}, {"image": {"format": "png", "source": {"bytes": PIXEL}}}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "a", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "r"}]}}]},
        ],
        "system": [{"text": "s"}], "inferenceConfig": {"maxTokens": 9, "temperature": 1, "stopSequences": ["x"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": CITY}}}], "toolChoice": {"any": {}},
        },
        "additionalModelRequestFields": {"thinking": {"type": "disabled"}},
        "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{}"}}}},
    },
}  # fmt: skip
FULL["/v1/messages/count_tokens"] = {name: FULL["/v1/messages"][name] for name in ("model", "messages", "system")}
FULL["/v1beta/models/gemini-3-pro:countTokens"] = {"contents": [{"parts": [{"text": "a"}]}]}
FULL["/v1beta/models/e:batchEmbedContents"] = {
    "requests": [{"model": "models/e", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4}]
}
FULL["/api/show"] = FULL["/api/generate"] = {"model": "m"}
ODD = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    " ",
    "x",
    "\ud800",
    [],
    [None],
    [[]],
    [{}],
    {},
    {"type": "text"},
    {"a": 1},
    ["x", 1],
]
DEEP: list = []
for _ in range(200):
    DEEP = [DEEP]


def places(value, path=()):
    """The place of every value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(body, path, odd):
    if not path:
        return odd
    body = copy.deepcopy(body)
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = odd
    return body


def answered(path: str, body: bytes) -> int:
    """The status of the answer to a request, which is read to its end."""
    place = place_of(ReceivedRequest("POST", path, {}, body, 1, 0.0))
    facts_of(place, reuses_connection=False)
    steps = list(reply(place, None, Voice("primary", reasoning="Hm.", needs_key=False), 1, 1000.5))
    return next(step.status for step in steps if isinstance(step, Head))


@pytest.mark.parametrize("path", FULL)
def test_the_full_requests_are_good(path):
    body = FULL[path]
    assert answered(path, json.dumps(body).encode()) in ({400, 404} if path == "/api/show" else {200})


@pytest.mark.parametrize("path", FULL)
def test_any_value_in_any_place(path):
    for where in places(FULL[path]):
        for odd in [*ODD, DEEP]:
            body = json.dumps(changed(FULL[path], where, odd)).encode()
            assert answered(path, body) in {200, 400, 404}, (where, odd)


@pytest.mark.parametrize("path", FULL)
@given(body=st.binary(max_size=40))
@settings(max_examples=30, deadline=None)
def test_any_bytes(path, body):
    assert answered(path, body) in {200, 400, 404}
