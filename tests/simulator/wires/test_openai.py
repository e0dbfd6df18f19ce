"""OpenAI's SDK takes the simulator for the real thing: responses, completions, embeddings, and other prefixes."""

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from .conftest import CITY, PIXEL, SAY, sse

EVENTS = TypeAdapter(ResponseStreamEvent)
ASKED = {"model": "gpt-5", "input": "How are you?"}
TOOLS = [
    {"type": "function", "name": name, "parameters": CITY, "strict": True, "description": "d"}
    for name in ("weather", "news")
]


class City(BaseModel):
    city: str


@pytest.fixture
async def sdk(voice, root):
    async with AsyncOpenAI(base_url=f"{root}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk


# Responses.


async def test_a_response_and_a_stream(sdk):
    whole = await sdk.responses.create(**ASKED)
    async with sdk.responses.stream(**ASKED) as stream:
        streamed = [event async for event in stream]
        final = await stream.get_final_response()
    assert SAY == whole.output_text == final.output_text
    assert ("completed", 7, 10, 17) == (
        whole.status,
        whole.usage.input_tokens,
        whole.usage.output_tokens,
        whole.usage.total_tokens,
    )
    assert "response.completed" == streamed[-1].type


async def test_the_events_of_a_response(post, voice):
    voice.reasoning = "Hm."
    events = sse(await post("/v1/responses", {**ASKED, "stream": True}))
    for number, (name, event) in enumerate(events):
        assert (name, number) == (event["type"], event["sequence_number"])
        EVENTS.validate_python(event)
    names = [name.removeprefix("response.") for name, _ in events]
    thought = "reasoning_summary_"
    assert [
        "created",
        "in_progress",
        "output_item.added",
        f"{thought}part.added",
        f"{thought}text.delta",
        f"{thought}text.done",
        f"{thought}part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 10,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ] == names
    output = events[-1][1]["response"]["output"]
    assert [event["item"] for name, event in events if name == "response.output_item.done"] == output
    Response.model_validate((await post("/v1/responses", ASKED)).json)


@pytest.mark.parametrize(("parallel", "names"), [(True, ["weather", "news"]), (False, ["weather"])])
async def test_functions_are_called_and_answered(sdk, parallel, names):
    asked = {**ASKED, "tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": parallel}
    whole = await sdk.responses.create(**asked)
    async with sdk.responses.stream(**asked) as stream:
        streamed = await stream.get_final_response()
    for calls in (whole.output, streamed.output):
        assert [(name, '{"city":"simulated"}') for name in names] == [(call.name, call.arguments) for call in calls]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in whole.output]
    history = [{"role": "user", "content": "Hi"}, *(call.to_dict() for call in whole.output), *results]
    answer = await sdk.responses.create(**{**ASKED, "input": history}, tools=TOOLS)
    assert SAY == answer.output_text


async def test_limits_schemas_refusals_and_images(sdk, voice):
    short = await sdk.responses.create(**ASKED, max_output_tokens=3)
    assert ("incomplete", "max_output_tokens") == (short.status, short.incomplete_details.reason)
    async with sdk.responses.stream(**ASKED, max_output_tokens=3) as stream:
        events = [event.type async for event in stream]
    assert "response.incomplete" == events[-1]
    assert "simulated" == (await sdk.responses.parse(**ASKED, text_format=City)).output_parsed.city
    voice.answer = "{images} images"
    parts = [
        {"type": "input_text", "text": "?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    ]
    shown = await sdk.responses.create(**{**ASKED, "input": [{"role": "user", "content": parts}]})
    assert "1 images" == shown.output_text
    voice.refusal = "I cannot."
    assert "I cannot." == (await sdk.responses.create(**ASKED)).output[0].content[0].refusal


async def test_a_trailing_assistant_turn_is_not_gone_on_with(sdk):
    begun = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "one two three"}]
    assert SAY == (await sdk.responses.create(**{**ASKED, "input": begun})).output_text


async def test_errors_within_a_stream_of_a_response(simulator, post):
    await simulator.inject("primary", "error_later:after=3")
    events = sse(await post("/v1/responses", {**ASKED, "stream": True}))
    failed = EVENTS.validate_python(events[-1][1])
    assert ("response.failed", "server_error") == (failed.type, failed.response.error.code)
    numbers = [event["sequence_number"] for _, event in events]
    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": None}, "Missing required parameter: 'input'."),
        ({"max_tokens": 1}, "has moved to 'max_output_tokens'"),
        ({"n": 2}, "Unknown parameter: 'n'."),
        ({"previous_response_id": "resp_1"}, "Previous response with id 'resp_1' not found."),
        ({"input": [{"role": "tool", "content": "x"}]}, "Invalid value: 'tool'."),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "Invalid value: 'text'."),
        (
            {"input": [{"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"}]},
            "No tool output found for function call c1.",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c1", "output": "x"}]},
            "No tool call found for function call output with call_id c1.",
        ),
        ({"tool_choice": "required"}, "only allowed when 'tools' are specified"),
    ],
)
async def test_what_responses_refuses(post, changed, message):
    asked = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    wire = await post("/v1/responses", asked)
    assert (400, "invalid_request_error") == (wire.status, wire.json["error"]["type"])
    assert message in wire.json["error"]["message"]


# Completions.


@pytest.mark.parametrize("called", [0, 1])
async def test_an_input_of_references_alone(sdk, voice, called):
    """It raised within the simulator: there is no message that could be the last one."""
    voice.tool_calls = called
    given = [{"type": "item_reference", "id": "msg_1"}]
    assert "completed" == (await sdk.responses.create(model="gpt-5", input=given)).status


async def test_completions(sdk):
    whole = await sdk.completions.create(model="m", prompt="Hi", stop=[" four"])
    assert ("one two three", "stop") == (whole.choices[0].text, whole.choices[0].finish_reason)
    stream = await sdk.completions.create(
        model="m", prompt=["Hi", "Ho"], max_tokens=3, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    told = [(choice.index, choice.text, choice.finish_reason) for chunk in chunks for choice in chunk.choices]
    assert ["one two three"] * 2 == ["".join(text for at, text, _ in told if at == index) for index in (0, 1)]
    assert [(0, "", "length"), (1, "", "length")] == told[-2:]
    assert 6 == chunks[-1].usage.completion_tokens


# Embeddings.


async def test_embeddings_in_both_encodings(sdk):
    packed = await sdk.embeddings.create(model="e", input=["a", "b", "a"])
    plain = await sdk.embeddings.create(model="e", input=["a", "b", "a"], encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data]
    assert plain.data[0].embedding == plain.data[2].embedding != plain.data[1].embedding
    assert (8, 3) == (len(plain.data[0].embedding), plain.usage.prompt_tokens)
    assert 256 == len((await sdk.embeddings.create(model="e", input="a", dimensions=256)).data[0].embedding)
    assert 1 == len((await sdk.embeddings.create(model="e", input=[1, 2])).data)


@pytest.mark.parametrize("given", ["", [], ["a", ""], [["a"]], {}, None])
async def test_what_embeddings_refuses(post, given):
    wire = await post("/v1/embeddings", {"model": "e", "input": given})
    assert (400, "input") == (wire.status, wire.json["error"]["param"])


# Errors and places.


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("unauthorized", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("model_missing", openai.NotFoundError),
        ("503", openai.InternalServerError),
        ("context", openai.BadRequestError),
    ],
)
async def test_the_sdk_names_the_faults_of_every_endpoint(simulator, sdk, fault, error):
    await simulator.inject("primary", fault)
    with pytest.raises(error):
        await sdk.responses.create(**ASKED)
    with pytest.raises(error):
        await sdk.completions.create(model="m", prompt="Hi")
    with pytest.raises(error):
        await sdk.embeddings.create(model="m", input="Hi")


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "/v1beta/openai", "/api/v1", "/beta"])
async def test_the_prefixes_of_providers(voice, root, prefix):
    async with AsyncOpenAI(base_url=root + prefix, api_key="none") as sdk:
        answer = await sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        assert SAY == answer.choices[0].message.content
        assert ["simulated"] == [model.id for model in (await sdk.models.list()).data]


async def test_azure_names_its_deployment_in_the_path(simulator, voice, root):
    async with AsyncAzureOpenAI(azure_endpoint=root, api_key="none", api_version="2025-01-01-preview") as sdk:
        answer = await sdk.chat.completions.create(model="my-gpt", messages=[{"role": "user", "content": "Hi"}])
    assert ("my-gpt", SAY) == (answer.model, answer.choices[0].message.content)
    [received] = simulator.upstream("primary").requests
    assert ("/openai/deployments/my-gpt/chat/completions?api-version=2025-01-01-preview", "openai_chat") == (
        received.path,
        received.wire,
    )


async def test_chat_stops_refuses_and_counts_images(sdk, voice):
    async def ask(content="Hi", **more):
        answer = await sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": content}], **more)
        return answer.choices[0].message

    assert "one two three" == (await ask(stop=" four")).content
    voice.answer = "{images} images"
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    assert "2 images" == (await ask([image, image])).content
    voice.refusal = "I cannot."
    assert (None, "I cannot.") == ((await ask()).content, (await ask()).refusal)


async def test_a_context_window_is_kept_and_told(post, get, voice):
    voice.context_window = 6
    asked = {"model": "m", "messages": [{"role": "user", "content": "How are you?"}]}
    wire = await post("/v1/chat/completions", asked)
    assert (400, "context_length_exceeded") == (wire.status, wire.json["error"]["code"])
    assert 6 == (await get("/v1/models")).json["data"][0]["max_model_len"]
    assert 6 == (await get("/props")).json["default_generation_settings"]["n_ctx"]


async def test_what_servers_tell_of_themselves(get):
    assert {"status": "ok"} == (await get("/health")).json
    assert [False] == [slot["is_processing"] for slot in (await get("/slots")).json]
    assert "version" in (await get("/version")).json


async def test_what_is_received_tells_its_wire(simulator, post, get):
    await get("/health")
    for path in ("/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/messages", "/api/chat", "/api/embed"):
        await post(path, {})
    assert [
        None,
        "openai_responses",
        "openai_embeddings",
        "openai_completions",
        "anthropic",
        "ollama",
        "ollama_embed",
    ] == [one.wire for one in simulator.upstream("primary").requests]
