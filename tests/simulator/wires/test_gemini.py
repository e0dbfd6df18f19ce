"""Google's SDK takes the simulator for the real thing, and is refused what the real thing refuses."""

import pytest
from google import genai
from google.genai import errors, types

from .conftest import CITY, PIXEL, SAY, sse

# The SDK's own session is of a kind that aiohttp warns of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MODEL = "gemini-2.5-flash"
PATH = f"/v1beta/models/{MODEL}:generateContent"
STREAM = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
USER = {"role": "user", "parts": [{"text": "How are you?"}]}
ASKED = {"contents": [USER]}
TOOLS = [{"functionDeclarations": [{"name": name, "parametersJsonSchema": CITY} for name in ("weather", "news")]}]


@pytest.fixture
async def sdk(voice, root):
    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=root))
    yield client.aio
    await client.aio.aclose()


async def test_an_answer_and_a_stream(sdk):
    whole = await sdk.models.generate_content(model=MODEL, contents="How are you?")
    chunks = [one async for one in await sdk.models.generate_content_stream(model=MODEL, contents="How are you?")]
    assert SAY == whole.text == "".join(chunk.text for chunk in chunks if chunk.text)
    assert [types.FinishReason.STOP] == [c.candidates[0].finish_reason for c in chunks if c.candidates[0].finish_reason]
    assert types.FinishReason.STOP == chunks[-1].candidates[0].finish_reason == whole.candidates[0].finish_reason
    for usage in (whole.usage_metadata, chunks[-1].usage_metadata):
        assert (7, 10, 17) == (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count)


async def test_every_chunk_has_its_usage_and_there_is_no_done(post):
    wire = await post(STREAM, ASKED)
    events = [event for _, event in sse(wire)]
    assert [*range(1, 11), 10] == [event["usageMetadata"]["candidatesTokenCount"] for event in events]
    assert b"[DONE]" not in wire.body
    assert wire.body.endswith(b"}\r\n\r\n")
    for event in events:
        types.GenerateContentResponse.model_validate(event)


async def test_thoughts_are_parts_of_their_own(sdk, voice):
    voice.reasoning = "Let me think."
    parts = (await sdk.models.generate_content(model=MODEL, contents="Hi")).candidates[0].content.parts
    assert [("Let me think.", True), (SAY, None)] == [(part.text, part.thought) for part in parts]
    usage = (await sdk.models.generate_content(model=MODEL, contents="Hi")).usage_metadata
    assert (3, 10) == (usage.thoughts_token_count, usage.candidates_token_count)


@pytest.mark.parametrize("model", [MODEL, "gemini-3-pro"])
async def test_tools_are_called_and_answered(sdk, model):
    config = types.GenerateContentConfig(
        tools=TOOLS,
        tool_config={"function_calling_config": {"mode": "ANY"}},
        automatic_function_calling={"disable": True},
    )
    whole = await sdk.models.generate_content(model=model, contents="Hi", config=config)
    chunks = [c async for c in await sdk.models.generate_content_stream(model=model, contents="Hi", config=config)]
    streamed = [call for chunk in chunks for call in chunk.function_calls or ()]
    for calls in (whole.function_calls, streamed):
        assert [("weather", {"city": "simulated"}), ("news", {"city": "simulated"})] == [
            (c.name, c.args) for c in calls
        ]
    signed = [bool(part.thought_signature) for part in whole.candidates[0].content.parts]
    assert [True, False] == signed
    results = [types.Part.from_function_response(name=c.name, response={"r": 1}) for c in whole.function_calls]
    history = [USER, whole.candidates[0].content, types.Content(role="user", parts=results)]
    config.tool_config = None
    assert SAY == (await sdk.models.generate_content(model=model, contents=history, config=config)).text


async def test_a_schema_is_obeyed(sdk):
    config = {"response_mime_type": "application/json", "response_json_schema": CITY}
    assert (
        '{"city": "simulated"}' == (await sdk.models.generate_content(model=MODEL, contents="Hi", config=config)).text
    )
    own = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}
    config = {"response_mime_type": "application/json", "response_schema": own}
    assert '{"n": 1}' == (await sdk.models.generate_content(model=MODEL, contents="Hi", config=config)).text


async def test_limits_stops_refusals_and_images(sdk, voice):
    async def ask(contents="Hi", **config):
        return await sdk.models.generate_content(model=MODEL, contents=contents, config=config)

    assert types.FinishReason.MAX_TOKENS == (await ask(max_output_tokens=3)).candidates[0].finish_reason
    assert "one two three" == (await ask(stop_sequences=[" four"])).text
    assert 2 == len((await ask(candidate_count=2)).candidates)
    voice.answer = "{images} images"
    image = types.Part.from_bytes(data=PIXEL.encode(), mime_type="image/png")
    assert "1 images" == (await ask([image, "What is this?"])).text
    voice.refusal = "No."
    assert types.FinishReason.SAFETY == (await ask()).candidates[0].finish_reason


async def test_prefill_goes_on_where_the_generation_takes_it(post):
    asked = {"contents": [USER, {"role": "model", "parts": [{"text": "one two three"}]}]}
    for model in (MODEL, "gemini-3.1-pro", "simulated"):
        wire = await post(f"/v1beta/models/{model}:generateContent", asked)
        assert SAY.removeprefix("one two three") == wire.json["candidates"][0]["content"]["parts"][0]["text"]
    refused = await post("/v1beta/models/gemini-3.5-flash:generateContent", asked)
    assert (400, "INVALID_ARGUMENT") == (refused.status, refused.json["error"]["status"])


async def test_tokens_are_counted_and_models_listed(sdk, voice):
    voice.models = ("gemini-a", "gemini-b")
    assert 7 == (await sdk.models.count_tokens(model=MODEL, contents="How are you?")).total_tokens
    assert ["models/gemini-a", "models/gemini-b"] == [one.name async for one in await sdk.models.list()]


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("unauthorized", 400, errors.ClientError),
        ("429", 429, errors.ClientError),
        ("quota", 429, errors.ClientError),
        ("model_missing", 404, errors.ClientError),
        ("overloaded", 503, errors.ServerError),
        ("500", 500, errors.ServerError),
        ("context", 400, errors.ClientError),
    ],
)
async def test_the_sdk_names_the_faults(simulator, sdk, fault, status, kind):
    await simulator.inject("primary", fault)
    with pytest.raises(kind) as caught:
        await sdk.models.generate_content(model=MODEL, contents="Hi")
    assert status == caught.value.code


@pytest.mark.parametrize(("fault", "window"), [("429", "PerMinute"), ("quota", "PerDay")])
async def test_quotas_are_told_in_the_body(simulator, post, fault, window):
    await simulator.inject("primary", fault)
    wire = await post(PATH, ASKED)
    details = {one["@type"].rpartition(".")[2]: one for one in wire.json["error"]["details"]}
    assert window in details["QuotaFailure"]["violations"][0]["quotaId"]
    assert ("retry-after" in wire.headers, "RetryInfo" in details) == (False, fault == "429")


async def test_a_filtered_prompt_has_no_candidates(simulator, sdk, post):
    await simulator.inject("primary", "content_filter")
    blocked = await sdk.models.generate_content(model=MODEL, contents="Hi")
    assert (None, types.BlockedReason.PROHIBITED_CONTENT) == (blocked.candidates, blocked.prompt_feedback.block_reason)
    [(_, event)] = sse(await post(STREAM, ASKED))
    assert "PROHIBITED_CONTENT" == event["promptFeedback"]["blockReason"]


async def test_the_sdk_raises_errors_within_a_stream(simulator, sdk):
    await simulator.inject("primary", "error_later:after=3")
    with pytest.raises(errors.APIError):
        async for _ in await sdk.models.generate_content_stream(model=MODEL, contents="Hi"):
            pass


CALL = {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]}
RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"r": 1}}}]}


def says(role: str, text: str) -> dict:
    return {"role": role, "parts": [{"text": text}]}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "contents is not specified"),
        ({**ASKED, "messages": []}, 'Unknown name "messages": Cannot find field.'),
        ({**ASKED, "generationConfig": {"n": 1}}, "Unknown name \"n\" at 'generation_config': Cannot find field."),
        ({"contents": [says("assistant", "x")]}, "Please use a valid role: user, model."),
        ({"contents": [{"role": "user", "parts": []}]}, "parts must not be empty"),
        ({"contents": [says("user", "")]}, "required oneof field 'data' must have one initialized field"),
        ({"contents": [USER, CALL, USER]}, "number of function response parts is equal to the number of function call"),
        ({"contents": [USER, RESULT]}, "function response turn comes immediately after a function call turn"),
        ({"contents": [CALL, RESULT]}, "function call turn comes immediately after a user turn"),
        ({"contents": [USER, CALL]}, "Requests ending with a model turn are not supported"),
        (
            {"contents": [USER, CALL, {"parts": [{"functionResponse": {"name": "weather", "response": "r"}}]}]},
            "function_response.response",
        ),
        ({**ASKED, "tools": [{"functionDeclarations": [{"name": "1 x"}]}]}, "Invalid function name"),
        (
            {
                **ASKED,
                "tools": [{"functionDeclarations": [{"name": "a", "parameters": {"type": "OBJECT", "const": 1}}]}],
            },
            'Unknown name "const"',
        ),
        ({**ASKED, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "without function_declarations"),
        ({**ASKED, "generationConfig": {"temperature": 3}}, "must be in the range [0, 2]"),
        ({**ASKED, "generationConfig": {"stopSequences": list("abcdef")}}, "at most 5 stop sequences"),
    ],
)
async def test_what_is_refused_is_told_in_googles_words(post, asked, message):
    wire = await post(PATH, asked)
    assert (400, "INVALID_ARGUMENT") == (wire.status, wire.json["error"]["status"])
    assert message in wire.json["error"]["message"]


async def test_newer_models_want_their_signatures_back(post):
    asked = {"contents": [USER, CALL, RESULT]}
    assert 200 == (await post(PATH, asked)).status
    refused = await post("/v1beta/models/gemini-3-pro:generateContent", asked)
    assert "missing a thought_signature" in refused.json["error"]["message"]
    signed = {"role": "model", "parts": [{**CALL["parts"][0], "thoughtSignature": "c2ln"}]}
    asked = {"contents": [USER, signed, RESULT]}
    assert 200 == (await post("/v1beta/models/gemini-3-pro:generateContent", asked)).status


async def test_embeddings(sdk):
    both = await sdk.models.embed_content(model="e", contents=["a", "b"], config={"output_dimensionality": 4})
    one = await sdk.models.embed_content(model="e", contents="a")
    assert ([4, 4], [8]) == ([len(e.values) for e in both.embeddings], [len(e.values) for e in one.embeddings])
    assert both.embeddings[0].values != both.embeddings[1].values


async def test_both_spellings_of_members_are_read(post):
    asked = {"contents": [USER], "generation_config": {"max_output_tokens": 2}}
    assert "MAX_TOKENS" == (await post(PATH, asked)).json["candidates"][0]["finishReason"]
