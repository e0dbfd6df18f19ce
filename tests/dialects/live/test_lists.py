"""Lists of models, as each provider writes them."""

from typing import Any

import pytest
from anthropic.types import ModelInfo

from proxy.core.facts import Learned, ModelFacts, Price, PriceTier
from tests.dialects.live.asking import ask_all, told


def rows(*each: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(each)}


VLLM = rows(
    {
        "id": "Qwen/Qwen3-8B",
        "object": "model",
        "created": 1763700000,
        "owned_by": "vllm",
        "root": "Qwen/Qwen3-8B",
        "parent": None,
        "max_model_len": 32768,
        "permission": [{"id": "modelperm-1", "object": "model_permission", "allow_sampling": True}],
    },
    {"id": "sql-lora", "object": "model", "root": "/adapters/sql", "parent": "Qwen/Qwen3-8B", "max_model_len": None},
)


def test_vllm_has_loaded_what_it_lists() -> None:
    window = Learned(ModelFacts(context=32768), listed=True, loaded=True)

    assert {"Qwen/Qwen3-8B": window, "sql-lora": window, "other": Learned(listed=False, loaded=False)} == told(
        "vllm", {"/models": VLLM}, ("Qwen/Qwen3-8B", "sql-lora", "other")
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, ModelFacts()),
        ({"max_model_len": 4096}, ModelFacts(context=4096)),
        ({"context_window": 131072, "max_completion_tokens": 65536}, ModelFacts(context=131072, max_output=65536)),
        ({"context_length": 8192, "max_output_tokens": 1024}, ModelFacts(context=8192, max_output=1024)),
        ({"owned_by": "llamacpp", "meta": {"n_ctx": 1024, "n_ctx_train": 32768}}, ModelFacts(max_input=1024)),
        ({"meta": [], "aliases": "m"}, ModelFacts()),
        ({"context_length": "8192", "max_context_length": 0}, ModelFacts()),
        ({"context_length": -1, "context_window": True}, ModelFacts()),
        ({"context_length": 10**30, "max_model_len": 1.5}, ModelFacts()),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "groq"])
def test_any_server_that_speaks_openais_language(kind: str, row: dict[str, Any], expected: ModelFacts) -> None:
    found = told(kind, {"/models": rows({"id": "m", "object": "model", **row})}, ("m", "n"))

    assert {"m": Learned(expected, listed=True), "n": Learned(listed=False)} == found


def test_another_name_of_a_model_is_as_good() -> None:
    found = told("openai", {"/models": rows({"id": "a.gguf", "aliases": ["m"], "context_length": 5})})

    assert {"m": Learned(ModelFacts(context=5), listed=True)} == found


def test_mistral_tells_windows_and_abilities_under_every_name_of_a_model() -> None:
    row = {
        "id": "mistral-medium-2508",
        "object": "model",
        "created": 1773667856,
        "owned_by": "mistralai",
        "capabilities": {
            "completion_chat": True,
            "function_calling": True,
            "completion_fim": False,
            "fine_tuning": True,
            "vision": False,
        },
        "max_context_length": 131072,
        "aliases": ["mistral-medium-latest"],
        "deprecation": None,
        "type": "base",
    }
    expected = Learned(ModelFacts(context=131072, vision=False, tools=True), listed=True)

    names = ("mistral-medium-2508", "mistral-medium-latest")
    assert dict.fromkeys(names, expected) == told("mistral", {"/models": rows(row)}, (*names, "unknown"))


def routed(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "z-ai/glm-5",
        "canonical_slug": "z-ai/glm-5-20260211",
        "context_length": 202752,
        "architecture": {"modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0.0000008", "completion": "0.00000256", "input_cache_read": "0.00000016"},
        "top_provider": {"context_length": 202752, "max_completion_tokens": None, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "reasoning", "tool_choice", "tools"],
    }
    return rows({**row, **changes})


def test_openrouter_tells_prices_per_token() -> None:
    facts = ModelFacts(
        context=202752,
        price=Price(0.8, 2.56, 0.16),
        vision=False,
        audio=False,
        tools=True,
        reasoning=True,
    )

    assert {"z-ai/glm-5": Learned(facts, listed=True)} == told("openrouter", {"/models": routed()}, ("z-ai/glm-5",))


@pytest.mark.parametrize(
    ("pricing", "expected"),
    [
        ({"prompt": "0", "completion": "0"}, Price(0.0, 0.0)),
        ({"prompt": 0.000001, "completion": 0.000002}, Price(1.0, 2.0)),
        ({"prompt": "-1", "completion": "-1"}, None),
        ({"prompt": "0.000003"}, None),
        ({"prompt": "a lot", "completion": "nan"}, None),
        ({"prompt": "1e999", "completion": "5"}, None),
        ({"prompt": True, "completion": []}, None),
        (
            {
                "prompt": "0.000003",
                "completion": "0.000015",
                "input_cache_write": "0.00000375",
                "overrides": [
                    {"utc_start": 0, "utc_end": 1200, "prompt": "0.1"},
                    {"min_prompt_tokens": 500000, "prompt": "0.00001"},
                    {"min_prompt_tokens": 200000, "prompt": "0.000006", "completion": "0.0000225"},
                ],
            },
            Price(3, 15, None, 3.75, (PriceTier(200_000, 6, 22.5), PriceTier(500_000, 10))),
        ),
        (["0.1"], None),
    ],
)
def test_prices_of_openrouter(pricing: object, expected: Price | None) -> None:
    found = told("openrouter", {"/models": routed(pricing=pricing)}, ("z-ai/glm-5",))

    assert expected == found["z-ai/glm-5"].facts.price


def test_a_variant_has_a_price_of_its_own() -> None:
    assert {} == told("openrouter", {"/models": routed()}, ("z-ai/glm-5:free", "z-ai/glm-5:nitro"))


def test_pages_of_openrouter_are_turned_but_not_for_ever() -> None:
    def page(number: int) -> dict[str, Any]:
        links = {"next": f"https://elsewhere.example/steal?offset={number * 500}&limit=500"}
        return {**rows({"id": f"m{number}"}), "links": links}

    paths = ["/models", "/models?offset=500", "/models?offset=1000", "/models?offset=1500"]
    answers = {path: page(number) for number, path in enumerate(paths, 1)}

    assert paths == ask_all("openrouter", answers)[1]
    assert ["m1", "m2", "m3", "m4"] == list(told("openrouter", answers, (), every=True))


def claude(id_: str, **changes: Any) -> dict[str, Any]:
    yes, no = {"supported": True}, {"supported": False}
    return {
        "type": "model",
        "id": id_,
        "display_name": id_,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200000,
        "max_tokens": 64000,
        "capabilities": {
            "image_input": yes,
            "pdf_input": yes,
            "structured_outputs": no,
            "thinking": {**yes, "types": {}},
        },
        **changes,
    }


CLAUDE = Learned(
    ModelFacts(max_input=200000, max_output=64000, vision=True, documents=True, structured=False, reasoning=True),
    listed=True,
)
ANTHROPIC = "/v1/models?limit=1000"


def test_anthropic_tells_the_longest_prompt_and_answer() -> None:
    answer = {"data": [claude("claude-haiku-4-5-20251001")], "has_more": False}
    names = ("claude-haiku-4-5-20251001", "claude-haiku-4-5")

    assert dict.fromkeys(names, CLAUDE) == told("anthropic", {ANTHROPIC: answer}, (*names, "claude-haiku"))


def test_the_examples_of_anthropic_have_members_that_its_sdk_knows() -> None:
    assert set(claude("x")) <= set(ModelInfo.model_fields)


def test_an_old_list_of_anthropic_tells_that_there_is_a_model() -> None:
    answer = {"data": [claude("c", max_input_tokens=None, max_tokens=None, capabilities=None)]}

    assert {"c": Learned(listed=True)} == told("anthropic", {ANTHROPIC: answer}, ("c",))


def test_gemini_tells_the_longest_prompt_and_answer() -> None:
    row = {"name": "models/gemini-3-pro", "inputTokenLimit": 1048576, "outputTokenLimit": 65536, "thinking": True}
    expected = Learned(ModelFacts(max_input=1048576, max_output=65536, reasoning=True), listed=True)
    names = ("gemini-3-pro", "models/gemini-3-pro")

    answers = {"/v1beta/models?pageSize=1000": {"models": [row]}}
    assert dict.fromkeys(names, expected) == told("gemini", answers, names)
