"""Each refusal in each language: status and shape are the provider's own."""

import pytest

from .languages import CONVERSE, GEMINI, USER, WIRES, at, each_wire

REFUSED = {
    "status": (503, 503, 503, 503, 503),
    "429": (429, 429, 429, 429, 429),
    "unauthorized": (401, 401, 400, 401, 403),
    "credit": (402, 402, 400, 402, 403),
    "quota": (429, 429, 429, 429, 400),
    "context": (400, 400, 400, 400, 400),
    "content_filter": (400, 400, 200, 400, 400),
    "unsupported_parameter:param=stop": (400, 400, 400, 400, 400),
    "model_missing": (404, 404, 404, 404, 404),
    "overloaded": (529, 529, 503, 503, 503),
    "refuse_prefill": (400, 400, 400, 400, 400),
}
"""The statuses of OpenAI, Anthropic, Gemini, Ollama and Bedrock."""
_OPENAI = {"error.message", "error.type", "error.param", "error.code"}
SHAPES = {
    "openai_chat": _OPENAI,
    "openai_completions": _OPENAI,
    "openai_responses": _OPENAI,
    "anthropic": {"type", "error.type", "error.message", "request_id"},
    "gemini": {"error.code", "error.message", "error.status"},
    "ollama": {"error"},
    "bedrock": {"message"},
}
STATUS_AT = {"anthropic": 1, "gemini": 2, "ollama": 3, "bedrock": 4}
STOPS = {
    "openai_chat": {"stop": "x"},
    "openai_completions": {"stop": "x"},
    "openai_responses": {"stop": "x"},
    "anthropic": {"stop": "x"},
    "gemini": {"generationConfig": {"stop": ["x"]}},
    "ollama": {"options": {"stop": ["x"]}},
    "bedrock": {"inferenceConfig": {"stop": ["x"]}},
}
PREFILLED = {
    "openai_chat": {"messages": [USER, {"role": "assistant", "content": "one"}]},
    "openai_responses": {"input": [USER, {"role": "assistant", "content": "one"}]},
    "anthropic": {"messages": [USER, {"role": "assistant", "content": "one"}]},
    "gemini": {"contents": [*GEMINI["contents"], {"role": "model", "parts": [{"text": "one"}]}]},
    "ollama": {"messages": [USER, {"role": "assistant", "content": "one"}]},
    "bedrock": {"messages": [*CONVERSE["messages"], {"role": "assistant", "content": [{"text": "one"}]}]},
}


def shape_of(document: dict) -> set[str]:
    """The members of an error."""
    inner = document.get("error")
    if not isinstance(inner, dict):
        return set(document)
    return {*(f"error.{name}" for name in inner), *(set(document) - {"error"})}


@each_wire
@pytest.mark.parametrize("fault", [fault for fault in REFUSED if fault != "refuse_prefill"])
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_have_the_providers_shape(simulator, post, name, fault, stream):
    await simulator.inject("primary", fault)
    path, body = WIRES[name].asking(stream=stream)
    wire = await post(path, {**body, **(STOPS[name] if fault.startswith("unsupported") else {})})
    assert ("complete", REFUSED[fault][STATUS_AT.get(name, 0)]) == (wire.end, wire.status)
    assert wire.status == 200 or SHAPES[name] <= shape_of(wire.json)


@each_wire
async def test_keys_are_wanted_on_demand(voice, post, name):
    voice.needs_key = True
    wire = await post(*WIRES[name].asking(stream=False))
    wanted = {"gemini": 403, "ollama": 200, "bedrock": 403}.get(name, 401)
    assert wanted == wire.status
    assert wire.status == 200 or SHAPES[name] == shape_of(wire.json)


@pytest.mark.parametrize("name", PREFILLED)
async def test_prefill_is_refused(simulator, post, name):
    await simulator.inject("primary", "refuse_prefill")
    path, body = WIRES[name].asking(stream=False)
    assert 200 == (await post(path, body)).status
    assert 400 == (await post(path, {**body, **PREFILLED[name]})).status


@pytest.mark.parametrize(
    ("name", "kind"),
    [("anthropic", ("error", "type", "api_error")), ("gemini", ("error", "status", "UNAVAILABLE"))],
)
async def test_a_status_has_its_providers_name(simulator, post, name, kind):
    await simulator.inject("primary", "503")
    *place, told = kind
    assert told == at((await post(*WIRES[name].asking(stream=False))).json, *place)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("openai_chat", "x-ratelimit-remaining-requests"),
        ("openai_responses", "x-ratelimit-remaining-requests"),
        ("anthropic", "anthropic-ratelimit-requests-remaining"),
    ],
)
async def test_headroom_is_told_in_the_providers_headers(simulator, post, name, header):
    await simulator.inject("primary", "low_headroom:remaining=1,limit=9,reset=60")
    asked = WIRES[name].asking(stream=True)
    good, refused = await post(*asked), await post(*asked)
    assert [(200, "0"), (429, "0")] == [(wire.status, wire.headers[header]) for wire in (good, refused)]


@pytest.mark.parametrize("name", ["gemini", "ollama", "bedrock"])
async def test_headroom_ends_in_a_429_where_no_headers_tell_of_it(simulator, post, name):
    await simulator.inject("primary", "low_headroom:remaining=1,limit=9,reset=60")
    asked = WIRES[name].asking(stream=False)
    assert [200, 429] == [(await post(*asked)).status for _ in range(2)]


async def test_anthropic_and_amazon_tell_ids_and_kinds_in_headers(simulator, post):
    await simulator.inject("primary", "429")
    assert "request-id" in (await post(*WIRES["anthropic"].asking(stream=False))).headers
    kind = (await post(*WIRES["bedrock"].asking(stream=False))).headers["x-amzn-errortype"]
    assert "ThrottlingException" == kind.partition(":")[0]
