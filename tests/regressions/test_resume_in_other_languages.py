"""An answer that passed through untouched, and broke: what goes on with it has the ids and places that clients know.

The events that went on were numbered and named anew: items had other ids than those that had begun, thoughts that
nobody may read were not counted, and a block that had ended was written on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Speaking
from proxy.dialects.languages import CLIENT_WIRES
from tests.regressions.test_found_between_wires_engine import ASKED, EVENTS, Page, canned, post, routes
from tests.support.fleet import Seen, fleet
from tests.support.virtual_time import run_virtual

SAID, WHOLE = "One two", "One two three four."


def spelled(*events: Mapping[str, Any]) -> bytes:
    """Named events."""
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def numbered(*events: Mapping[str, Any]) -> bytes:
    return spelled(*({**event, "sequence_number": number} for number, event in enumerate(events)))


def text_of(said: str) -> Mapping[str, Any]:
    place = {"item_id": "msg_theirs", "output_index": 1, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": said, "logprobs": []}


BEGUN = {
    "id": "resp_theirs",
    "object": "response",
    "created_at": 7,
    "model": "m",
    "status": "in_progress",
    "output": [],
}
THOUGHT = {"id": "rs_theirs", "type": "reasoning", "summary": [], "encrypted_content": "xyz"}
MESSAGE = {"id": "msg_theirs", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "", "annotations": []}
RESPONSE = numbered(
    {"type": "response.created", "response": BEGUN},
    {"type": "response.in_progress", "response": BEGUN},
    {"type": "response.output_item.added", "output_index": 0, "item": THOUGHT},
    {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
    {"type": "response.output_item.added", "output_index": 1, "item": MESSAGE},
    {
        "type": "response.content_part.added",
        "item_id": "msg_theirs",
        "output_index": 1,
        "content_index": 0,
        "part": PART,
    },
    text_of("One"),
    text_of(" two"),
)


def resumed(kind: str, path: str, broken: bytes, **body: Any) -> Seen:
    """What a client sees of a stream that ends after `broken`, and is gone on with by a deployment that speaks chat."""

    async def scenario() -> Seen:
        def page(_path: str, _body: Any) -> Page:
            return 200, EVENTS, broken

        async with canned(page) as server:
            one = f"kind: {kind}, base_url: '{server.url}/v1', api_key: k"
            async with fleet(routes(one=one, chain="[one/m, two/m]")) as running:
                running.simulator.upstream("two").voice.answer = WHOLE
                seen = await post(running, path, stream=True, **body)
                assert [("one", "two")] == [
                    (each.source.upstream, each.target.upstream) for each in running.records[-1].resumes
                ]
                return seen

    return run_virtual(scenario())


def test_a_response_keeps_its_ids_its_places_and_its_numbers() -> None:
    events = resumed("openai", "/v1/responses", RESPONSE, input="hi").events

    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert {("msg_theirs", 1, 0)} == {(each["item_id"], each["output_index"], each["content_index"]) for each in deltas}
    assert WHOLE == "".join(each["delta"] for each in deltas)
    whole = events[-1]["response"]
    assert ("response.completed", "resp_theirs", 7) == (events[-1]["type"], whole["id"], whole["created_at"])
    thought, message = whole["output"]
    assert (THOUGHT, "msg_theirs") == (thought, message["id"])
    assert (WHOLE, "completed") == (message["content"][0]["text"], message["status"])
    assert 2 == sum(event["type"] == "response.output_item.added" for event in events)


def message(*events: Mapping[str, Any]) -> bytes:
    told = {"id": "msg_theirs", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}}
    return spelled({"type": "message_start", "message": told}, *events)


def begun(index: int, **block: Any) -> Mapping[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, said: str) -> Mapping[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": said}}


def ended(index: int) -> Mapping[str, Any]:
    return {"type": "content_block_stop", "index": index}


def check_blocks(events: list[Any]) -> None:
    """One block at a time, none twice, and what is added belongs to the open one."""
    open_, seen = None, -1
    for event in events:
        if event["type"] == "content_block_start":
            assert (None, seen + 1) == (open_, event["index"])
            open_ = seen = event["index"]
        elif event["type"] == "content_block_delta":
            assert open_ == event["index"]
        elif event["type"] == "content_block_stop":
            assert open_ == event["index"]
            open_ = None
    assert open_ is None


def test_a_block_that_has_ended_is_not_written_on() -> None:
    """A call was begun after it, and held: nobody has seen it."""
    broken = message(
        begun(0, type="text", text=""),
        delta(0, SAID),
        ended(0),
        begun(1, type="tool_use", id="toolu_1", name="f", input={}),
    )
    events = resumed("anthropic", "/v1/messages", broken, max_tokens=50, messages=ASKED).events

    check_blocks(events)
    assert WHOLE == "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    assert "message_stop" == events[-1]["type"]


def test_an_empty_block_is_counted() -> None:
    broken = message(begun(0, type="text", text=""), ended(0), begun(1, type="text", text=""), delta(1, SAID))
    check_blocks(resumed("anthropic", "/v1/messages", broken, max_tokens=50, messages=ASKED).events)


def test_a_completion_keeps_its_id() -> None:
    chunk = {"id": "cmpl-theirs", "object": "text_completion", "created": 7, "model": "m"}
    said = {"text": SAID, "index": 0, "logprobs": None, "finish_reason": None}
    broken = f"data: {json.dumps({**chunk, 'choices': [said]})}\n\n".encode()
    seen = resumed("openai", "/v1/completions", broken, prompt="hi")

    assert seen.done
    assert {("cmpl-theirs", 7)} == {(event["id"], event["created"]) for event in seen.events[:-1]}


def test_a_message_that_is_finished_needs_nobody_to_go_on() -> None:
    """Only its marker was missing, which says nothing; words were added behind its end."""
    finish = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
    whole = message(begun(0, type="text", text=""), delta(0, SAID), ended(0), finish)

    async def scenario() -> None:
        async with canned(lambda _path, _body: (200, EVENTS, whole)) as server:
            one = f"kind: anthropic, base_url: '{server.url}', api_key: k"
            async with fleet(routes(one=one, chain="[one/m, two/m]")) as running:
                seen = await post(running, "/v1/messages", stream=True, max_tokens=50, messages=ASKED)

                assert whole + spelled({"type": "message_stop"}).replace(b': "m', b':"m') == seen.body
                assert 0 == running.received("two")

    run_virtual(scenario())


def test_what_was_sent_may_be_anything() -> None:
    hostile = b'data: [1]\n\ndata: {\n\ndata: {"type":"response.output_item.added","item":{"id":3,"type":[]}}\n\n'
    hostile += b'data: {"type":"content_block_start","index":-1,"content_block":7}\n\n'
    hostile += b'data: {"id":"x","created":"\\ud800"}\n\n'
    for wire in (Wire.RESPONSES, Wire.MESSAGES, Wire.COMPLETIONS):
        encoder = CLIENT_WIRES[wire].encoder(Speaking(ModelRequest({}, "m", wire=wire), "x", 1))
        encoder.adopt(hostile)
        assert encoder.error("broken", "x", reason="y", retryable=False)


def chat(said: str) -> bytes:
    """One chat event."""
    choice = {"index": 0, "delta": {"content": said}, "finish_reason": None}
    told = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 8, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(told)}\n\n".encode()


TWICE: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "/v1/responses": ("openai", RESPONSE, {"input": "hi"}),
    "/v1/messages": (
        "anthropic",
        message(begun(0, type="text", text=""), delta(0, SAID)),
        {"messages": ASKED, "max_tokens": 50},
    ),
}


def broken_twice(path: str, chain: str) -> Seen:
    """A stream whose continuation breaks, too."""
    kind, broken, body = TWICE[path]

    async def scenario() -> Seen:
        def page(asked: str, _: Any) -> Page:
            return 200, EVENTS, chat(" three") if asked.endswith("/chat/completions") else broken

        async with canned(page) as server:
            one = f"kind: {kind}, base_url: '{server.url}/v1', api_key: k"
            two = f"kind: vllm, base_url: '{server.url}/v1'"
            async with fleet(routes(one=one, two=two, chain=chain)) as running:
                running.simulator.upstream("played").voice.answer = WHOLE
                seen = await post(running, path, stream=True, **body)
                last = running.records[-1]
                for deployment in chain.strip("[]").split(", "):
                    where = f"/admin/v1/deployments/{deployment}"
                    assert 0 == (await running.request("GET", where)).json["in_flight"]
                assert ["two", "played"][: len(last.resumes)] == [each.target.upstream for each in last.resumes]
                return seen

    return run_virtual(scenario())


@pytest.mark.parametrize("path", TWICE)
def test_an_answer_may_break_twice(path: str) -> None:
    events = broken_twice(path, "[one/m, two/m, played/m]").events

    if path == "/v1/messages":
        check_blocks(events)
        said = "".join(each["delta"]["text"] for each in events if each["type"] == "content_block_delta")
        assert ["message_delta", "message_stop"] == [each["type"] for each in events[-2:]]
    else:
        assert list(range(len(events))) == [event["sequence_number"] for event in events]
        said = events[-1]["response"]["output"][1]["content"][0]["text"]
        assert "resp_theirs" == events[-1]["response"]["id"]
    assert WHOLE == said


@pytest.mark.parametrize("path", TWICE)
def test_where_nobody_is_left_the_error_is_in_the_language_of_the_client(path: str) -> None:
    last = broken_twice(path, "[one/m, two/m]").events[-1]

    if path == "/v1/messages":
        assert ("error", "no_deployment_left") == (last["type"], last["error"]["details"]["reason"])
    else:
        assert ("response.failed", "resp_theirs") == (last["type"], last["response"]["id"])
        assert "One two three" == last["response"]["output"][1]["content"][0]["text"]
