"""Ollama's SDK takes the simulator for the real thing."""

import json

import ollama
import pytest
from ollama import AsyncClient, ResponseError

from .conftest import CITY, PIXEL, SAY

USER = {"role": "user", "content": "How are you?"}
ASKED = {"model": "llama3", "messages": [USER]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY}}]


@pytest.fixture
async def sdk(voice, root):
    async with AsyncClient(host=root) as sdk:
        yield sdk


async def test_an_answer_and_a_stream(sdk):
    whole = await sdk.chat(model="llama3", messages=[USER])
    lines = [line async for line in await sdk.chat(model="llama3", messages=[USER], stream=True)]
    assert SAY == whole.message.content == "".join(line.message.content for line in lines)
    assert [False] * 10 + [True] == [line.done for line in lines]
    for last in (whole, lines[-1]):
        assert ("stop", 7, 10) == (last.done_reason, last.prompt_eval_count, last.eval_count)


async def test_it_streams_lines_unless_told_not_to(post):
    wire = await post("/api/chat", ASKED)
    assert "application/x-ndjson" == wire.headers["content-type"]
    lines = [json.loads(line) for line in wire.body.splitlines()]
    assert SAY == "".join(line["message"]["content"] for line in lines)
    assert {"llama3"} == {line["model"] for line in lines}
    assert "application/json" == (await post("/api/chat", {**ASKED, "stream": False})).headers["content-type"]


async def test_thinking_and_a_schema(sdk, voice):
    voice.reasoning = "Let me think."
    thought = await sdk.chat(model="m", messages=[USER], think=True)
    assert ("Let me think.", SAY) == (thought.message.thinking, thought.message.content)
    assert (await sdk.chat(model="m", messages=[USER], think=False)).message.thinking is None
    assert '{"city": "simulated"}' == (await sdk.chat(model="m", messages=[USER], format=CITY)).message.content


async def test_tools_are_called_with_objects(sdk, voice):
    voice.tool_calls = 1
    whole = await sdk.chat(model="m", messages=[USER], tools=TOOLS)
    lines = [line async for line in await sdk.chat(model="m", messages=[USER], tools=TOOLS, stream=True)]
    for message in (whole.message, lines[0].message):
        [call] = message.tool_calls
        assert ("weather", {"city": "simulated"}) == (call.function.name, call.function.arguments)
    assert "stop" == whole.done_reason == lines[-1].done_reason
    history = [USER, whole.message, {"role": "tool", "content": "rain", "tool_name": "weather"}]
    assert SAY == (await sdk.chat(model="m", messages=history, tools=TOOLS)).message.content


async def test_two_calls_come_in_one_line(post, voice):
    voice.tool_calls = 2
    news = {"type": "function", "function": {"name": "news", "parameters": CITY}}
    wire = await post("/api/chat", {**ASKED, "tools": [*TOOLS, news]})
    first, last = [json.loads(line) for line in wire.body.splitlines()]
    told = [(call["function"]["index"], call["function"]["name"]) for call in first["message"]["tool_calls"]]
    assert ([(0, "weather"), (1, "news")], True) == (told, last["done"])


async def test_limits_stops_images_and_prefill(sdk, voice):
    assert "length" == (await sdk.chat(model="m", messages=[USER], options={"num_predict": 3})).done_reason
    stopped = await sdk.chat(model="m", messages=[USER], options={"stop": [" four"]})
    assert "one two three" == stopped.message.content
    begun = [USER, {"role": "assistant", "content": "one two three"}]
    assert SAY.removeprefix("one two three") == (await sdk.chat(model="m", messages=begun)).message.content
    voice.answer = "{images} images"
    shown = [{**USER, "images": [PIXEL, PIXEL]}]
    assert "2 images" == (await sdk.chat(model="m", messages=shown)).message.content


async def test_a_long_prompt_is_an_error_only_with_truncate_false(post, voice):
    voice.context_window = 6
    assert 200 == (await post("/api/chat", {**ASKED, "stream": False})).status
    wire = await post("/api/chat", {**ASKED, "truncate": False})
    assert (400, {"error": "the input length exceeds the context length"}) == (wire.status, wire.json)


async def test_what_a_server_tells_of_itself(sdk, voice, get):
    voice.models, voice.context_window = ("llama3", "qwen3"), 8192
    assert ["llama3", "qwen3"] == [one.model for one in (await sdk.list()).models]
    assert [8192, 8192] == [one.context_length for one in (await sdk.ps()).models]
    assert 8192 == (await sdk.show("llama3")).modelinfo["simulated.context_length"]
    with pytest.raises(ResponseError, match="not found"):
        await sdk.show("other")
    assert "version" in (await get("/api/version")).json


async def test_loading_and_unloading(post):
    loaded = (await post("/api/chat", {"model": "m", "messages": [], "stream": False})).json
    assert ("", "load", True) == (loaded["message"]["content"], loaded["done_reason"], loaded["done"])
    unloaded = (await post("/api/generate", {"model": "m", "keep_alive": 0})).json
    assert "unload" == unloaded["done_reason"]


async def test_embeddings(sdk):
    one = await sdk.embed(model="e", input="a")
    both = await sdk.embed(model="e", input=["a", "b"], dimensions=4)
    assert [8] == [len(vector) for vector in one.embeddings]
    assert [4, 4] == [len(vector) for vector in both.embeddings]
    assert one.embeddings == (await sdk.embed(model="e", input="a")).embeddings != both.embeddings


@pytest.mark.parametrize(
    ("fault", "status"),
    [("unauthorized", 401), ("429", 429), ("model_missing", 404), ("overloaded", 503), ("500", 500), ("context", 400)],
)
async def test_the_sdk_names_the_faults(simulator, sdk, fault, status):
    await simulator.inject("primary", fault)
    with pytest.raises(ResponseError) as caught:
        await sdk.chat(model="m", messages=[USER])
    assert status == caught.value.status_code


async def test_the_sdk_raises_errors_within_a_stream(simulator, sdk):
    await simulator.inject("primary", "error_later:after=3")
    with pytest.raises(ollama.ResponseError, match="had an error while answering"):
        async for _ in await sdk.chat(model="m", messages=[USER], stream=True):
            pass


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": ""}, "model is required"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
            "content of type string",
        ),
        ({"messages": [{**USER, "images": ["data:image/png;base64,x"]}]}, "illegal base64 data"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}]},
            "cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments",
        ),
        ({"format": "xml"}, "invalid format"),
    ],
)
async def test_what_is_refused(post, changed, message):
    wire = await post("/api/chat", {**ASKED, **changed})
    assert 400 == wire.status
    assert message in wire.json["error"]
