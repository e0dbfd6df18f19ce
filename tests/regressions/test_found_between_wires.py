"""What the conformance matrix found: where one language of clients met another of upstreams."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.core.failure import Failure, FailureClass
from proxy.core.request import ModelRequest
from proxy.dialects.chat_events import ChatEvents
from proxy.dialects.client_wire import ClientWire, Encoder, Speaking
from proxy.dialects.completions.wire import COMPLETIONS
from proxy.dialects.dialect import Reading
from proxy.dialects.failures import classify
from proxy.dialects.gemini.dialect import GEMINI
from proxy.dialects.messages.wire import MESSAGES
from proxy.dialects.prefill import prefill_of
from proxy.dialects.responses.wire import RESPONSES
from proxy.execution.translating import Overheard
from proxy.routing.explain import returned_error
from proxy.simulator.server import Simulator
from proxy.streams.transcript import Said
from tests.support.fleet import fleet


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


def _overheard(request: ModelRequest, *passed: dict[str, object]) -> Encoder:
    """The encoder of an answer, the beginning of which passed through."""
    overheard = Overheard(request)
    overheard.begins(request.wire)
    block = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in passed)
    overheard.condense(block, Said())
    return overheard.encoder


def _told(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: {")]


def test_a_response_that_passed_goes_on_under_its_own_names() -> None:
    """A second response id, item ids that nobody had begun, and numbers that came twice: clients lost the answer."""
    request = RESPONSES.parse(b'{"model":"route","input":"hi","stream":true}')
    response = {"id": "resp_own", "created_at": 5, "model": "gpt-4o", "output": []}
    message = {"type": "message", "id": "msg_own", "role": "assistant", "content": []}
    where = {"item_id": "msg_own", "output_index": 0, "content_index": 0}
    encoder = _overheard(
        request,
        {"type": "response.created", "sequence_number": 0, "response": response},
        {"type": "response.output_item.added", "sequence_number": 3, "output_index": 0, "item": message},
        {"type": "response.content_part.added", "sequence_number": 4, **where, "part": {"type": "output_text"}},
        {"type": "response.output_text.delta", "sequence_number": 7, **where, "delta": "Hel"},
    )
    chat = ChatEvents("chatcmpl-1", 1, "claude")
    events = _told(encoder.feed(chat.text("lo") + chat.finish("stop") + b"data: [DONE]\n\n"))
    assert list(range(8, 8 + len(events))) == [event["sequence_number"] for event in events]
    assert {"msg_own"} == {event["item_id"] for event in events if "item_id" in event}
    last = events[-1]["response"]
    assert ("resp_own", 5, "gpt-4o") == (last["id"], last["created_at"], last["model"])
    assert [("msg_own", "Hello")] == [(item["id"], item["content"][0]["text"]) for item in last["output"]]


def test_items_that_passed_whole_are_repeated_as_they_were() -> None:
    request = RESPONSES.parse(b'{"model":"route","input":"hi","stream":true}')
    thought = {"type": "reasoning", "id": "rs_own", "summary": [{"type": "summary_text", "text": "Hm."}], "more": 1}
    part = {"item_id": "rs_own", "output_index": 0, "summary_index": 0}
    message = {"type": "message", "id": "msg_own", "role": "assistant", "content": []}
    where = {"item_id": "msg_own", "output_index": 1, "content_index": 0}
    encoder = _overheard(
        request,
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_own"}},
        {"type": "response.reasoning_summary_text.delta", **part, "delta": "Hm."},
        {"type": "response.output_item.done", "output_index": 0, "item": thought},
        {"type": "response.output_item.added", "output_index": 1, "item": message},
        {"type": "response.output_text.delta", **where, "delta": "Hel"},
    )
    chat = ChatEvents("chatcmpl-1", 1, "claude")
    events = _told(encoder.feed(chat.text("lo") + chat.finish("stop") + b"data: [DONE]\n\n"))
    assert [thought, "msg_own"] == [events[-1]["response"]["output"][0], events[-1]["response"]["output"][1]["id"]]


def test_a_completion_that_passed_goes_on_under_its_own_id() -> None:
    request = COMPLETIONS.parse(b'{"model":"route","prompt":"hi","stream":true}')
    own = {"id": "cmpl-own", "object": "text_completion", "created": 5, "model": "davinci"}
    encoder = _overheard(request, {**own, "choices": [{"text": "Hel", "index": 0, "finish_reason": None}]})
    (event,) = _told(encoder.feed(ChatEvents("chatcmpl-1", 1, "claude").text("lo")))
    assert (own, "lo") == ({name: event[name] for name in own}, event["choices"][0]["text"])


@pytest.mark.parametrize("events", [b"", b"data: 1\n\n", b"data: {\n\n: so\n\n", b'data: {"item":{},"response":7}\n\n'])
@pytest.mark.parametrize("wire", [RESPONSES, COMPLETIONS, MESSAGES], ids=lambda wire: wire.wire.value)
def test_what_makes_no_sense_is_not_adopted(wire: ClientWire, events: bytes) -> None:
    fields = b'"input":"hi"' if wire is RESPONSES else b'"prompt":"hi"'
    body = b'{"model":"route",%b,"stream":true}' % fields
    request = _messages_request(stream=True) if wire is MESSAGES else wire.parse(body)
    encoder = wire.encoder(Speaking(request, "x", 1))
    encoder.adopt(events)
    stream = encoder.feed(ChatEvents("chatcmpl-1", 1, "claude").text("Hello"))
    assert b"Hello" in stream


def test_bedrock_quotes_the_model_that_refuses_a_parameter() -> None:
    told = b'{"message": "The model returned the following errors: `temperature` is deprecated for this model."}'
    failure = classify("bedrock", 400, {"x-amzn-errortype": "ValidationException"}, told, 0.0)
    assert (FailureClass.PARAMETER_UNSUPPORTED, "temperature") == (failure.kind, failure.param)


@pytest.mark.parametrize(
    ("code", "asked"), [("model_not_found", 1), ("DeploymentNotFound", 1), (None, 2)], ids=["openai", "azure", "path"]
)
async def test_a_missing_model_is_not_asked_for_again_in_another_language(code: str | None, asked: int) -> None:
    """A 404 whose message does not name the model was taken for a missing path."""
    error = {"error": {"message": "The model does not exist.", "type": "invalid_request_error", "code": code}}
    paths: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.json_response(error, status=404)

    app = web.Application()
    app.router.add_post("/{path:.*}", refuse)
    async with TestServer(app) as server:
        routes = f"""\
version: 1
server: {{port: 0}}
upstreams:
  played: {{kind: simulated}}
  own: {{kind: openai, base_url: "http://127.0.0.1:{server.port}/v1", api_key: k}}
routes: {{chat: {{chain: [own/gpt-4o]}}}}
"""
        async with fleet(routes) as running:
            await running.request("POST", "/v1/responses", json={"model": "chat", "input": "hi"})
    assert ["/v1/responses", "/v1/chat/completions"][:asked] == paths


@pytest.mark.parametrize("wire", ["responses", "messages", "chat/completions"])
async def test_an_answer_that_is_nothing_but_one_call_is_held_and_not_empty(wire: str) -> None:
    """Where the last event both finishes the answer and ends the stream, what was held was taken for nothing."""
    parameters = {"type": "object", "properties": {}}
    function = {"name": "look", "parameters": parameters}
    tools: dict[str, object] = {
        "responses": {"type": "function", **function},
        "messages": {"name": "look", "input_schema": parameters},
        "chat/completions": {"type": "function", "function": function},
    }
    asked = {"max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
    body = {"model": "chat", "stream": True, "tools": [tools[wire]]}
    async with fleet() as running:
        for upstream in running.simulator.upstreams.values():
            upstream.voice.tool_calls = 1
        body |= {"input": "hi"} if wire == "responses" else asked
        seen = await running.request("POST", f"/v1/{wire}", json=body)
    assert [("primary", "ok")] == seen.trail
    assert b'"look"' in seen.body


@pytest.mark.parametrize("told", ["INVALID_ARGUMENT", "ValidationException", "upstream_error", None])
def test_errors_are_of_types_that_clients_know(told: str | None) -> None:
    """Google's and Amazon's names for them, and a status for a code, were passed on as OpenAI's."""
    failure = Failure(FailureClass.CALLER_FAULT, "http_400", "no", 400, error_type=told, error_code="400")
    error = json.loads(returned_error(failure).body())["error"]
    assert ("invalid_request_error", None) == (error["type"], error["code"])


@pytest.mark.parametrize("wire", ["messages", "chat/completions"])
async def test_whoever_goes_on_shows_no_second_thoughts(wire: str) -> None:
    """Thoughts that were signed came through, as a block of their own in the middle of the text."""
    async with Simulator(["claude"]) as simulator:
        claude = simulator.upstream("claude")
        claude.voice.reasoning, claude.voice.answer = "Let me see.", "One two three four."
        routes = f"""\
version: 1
server: {{port: 0}}
upstreams:
  primary: {{kind: simulated}}
  claude: {{kind: anthropic, base_url: "{simulator.base_url("claude")}", api_key: sk-of-claude}}
routes: {{chat: {{chain: [primary/m, claude/claude-sonnet-4-5]}}}}
"""
        body = {"model": "chat", "stream": True, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
        async with fleet(routes) as running:
            running.simulator.upstream("primary").voice.answer = claude.voice.answer
            await running.simulator.inject("primary", "cut:after=2")
            seen = await running.request("POST", f"/v1/{wire}", json=body)
    assert b"four." in seen.body
    assert b"Let me see." not in seen.body and b"signature" not in seen.body


def test_claude_on_bedrock_is_not_made_to_think_before_it_goes_on() -> None:
    """A beginning without thoughts is refused while thinking is asked for."""
    known = prefill_of("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", None)
    assert known is not None and {"thinking", "reasoning_effort"} <= known.drop


def test_an_error_in_a_field_of_its_own_ends_a_stream_of_gemini() -> None:
    """It waited for an end that never came, and the answer that it cut short was taken for whole."""
    said = b'data: {"candidates":[{"content":{"parts":[{"text":"One"}]}%b}]}\r\n\r\n'
    translator = GEMINI.translator(Reading("gemini-2.5-pro", "chatcmpl-1", 1))
    stream = translator.feed(
        said % b"" + b'error: {"code":500,"message":"no"}\r\n\r\n' + said % b',"finishReason":"STOP"'
    )
    stream += translator.end()
    assert b"One" in stream and b'"stop"' not in stream and b"[DONE]" not in stream


@pytest.mark.parametrize("kind", ["gemini", "bedrock", "ollama", "anthropic"])
async def test_a_mark_before_a_document_is_none_of_it(kind: str) -> None:
    async with Simulator(["own"]) as simulator:
        await simulator.inject("own", "bom")
        root = simulator.base_url("own").removesuffix("/v1")
        routes = f"""\
version: 1
server: {{port: 0}}
upstreams:
  played: {{kind: simulated}}
  own: {{kind: {kind}, base_url: "{root}", api_key: sk-of-the-upstream}}
routes: {{chat: {{chain: [own/claude-sonnet-4-5]}}}}
"""
        async with fleet(routes) as running:
            seen = await running.chat(stream=False)
    assert seen.text.startswith("Simulated answer from own:")
