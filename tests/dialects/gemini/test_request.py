"""The rest of a request: the address, the generation config, and what is dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.facts import ModelFacts
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.dialect import GEMINI
from tests.dialects.gemini.wire import HI, MODEL, OLD, asking, outgoing, sent


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-3.8-flash", False, "/v1beta/models/gemini-3.8-flash:generateContent"),
        ("models/gemini-3.8-flash", True, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"),
        ("a b?c", False, "/v1beta/models/a%20b%3Fc:generateContent"),
    ],
)
def test_the_model_is_in_the_address(model: str, stream: bool, path: str) -> None:
    written = outgoing(model=model, stream=stream)

    assert path == written.path
    assert {} == dict(written.headers)
    assert {"contents"} == set(json.loads(b"".join(written.body)))


def config(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = sent(model=model, **fields).get("generationConfig", {})
    return found


def test_how_tokens_are_drawn() -> None:
    fields = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "presence_penalty": 0.1, "frequency_penalty": -0.2,
        "max_tokens": 100, "stop": ["a", "", "b"],
    }  # fmt: skip

    assert {
        "temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 7, "presencePenalty": 0.1, "frequencyPenalty": -0.2,
        "maxOutputTokens": 100, "stopSequences": ["a", "b"],
    } == config(OLD, **fields)  # fmt: skip


def test_newer_models_take_no_penalties() -> None:
    written = outgoing(presence_penalty=1, frequency_penalty=0, temperature=1)

    assert ("presence_penalty", "frequency_penalty") == written.dropped
    assert {"temperature": 1} == json.loads(b"".join(written.body))["generationConfig"]


def test_nothing_is_said_of_what_is_null() -> None:
    fields = dict.fromkeys(("temperature", "stop", "tools", "tool_choice", "response_format", "reasoning_effort", "n"))
    written = outgoing(**fields, user=None)

    assert {"contents"} == set(json.loads(b"".join(written.body)))
    assert () == written.dropped


def test_the_cap_on_tokens() -> None:
    facts = ModelFacts(max_output=1000)

    assert {"maxOutputTokens": 5} == config(max_tokens=9, max_completion_tokens=5)
    assert {"maxOutputTokens": 9} == config(max_tokens=9, max_completion_tokens=5, without=("max_completion_tokens",))
    assert {"maxOutputTokens": 1000} == config(max_tokens=2000, facts=facts)
    assert {"maxOutputTokens": 10} == config(max_tokens=10, facts=facts)


def test_one_stop_sequence() -> None:
    assert {"stopSequences": ["x"]} == config(stop="x")
    assert {} == config(stop="")


SCHEMA = {"type": "object", "properties": {"a": {"const": "x"}}, "additionalProperties": False}
ADAPTED = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "text"}, {}),
        ({"type": "json_object"}, {"responseMimeType": "application/json"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}},
            {"responseMimeType": "application/json", "responseJsonSchema": ADAPTED},
        ),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, {"responseMimeType": "application/json"}),
    ],
)
def test_the_form_of_the_answer(form: object, expected: object) -> None:
    assert expected == config(response_format=form)


def test_tools_and_json_at_once_are_for_the_newer_models() -> None:
    fields: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
    }

    assert {"contents", "tools", "generationConfig"} == set(sent(**fields))
    with pytest.raises(NotCarriedError):
        GEMINI.write(asking(model=OLD, **fields))


THOUGHTS = {"includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-3.8-flash", "none", {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW", **THOUGHTS}),
        ("gemini-3.8-flash", "medium", {"thinkingLevel": "MEDIUM", **THOUGHTS}),
        ("gemini-3.8-flash", "xhigh", {"thinkingLevel": "HIGH", **THOUGHTS}),
        ("gemini-flash-latest", "low", {"thinkingLevel": "LOW", **THOUGHTS}),
        ("gemini-3.5-flash-lite", "minimal", {"thinkingLevel": "MINIMAL", **THOUGHTS}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", **THOUGHTS}),
        ("gemini-3.1-pro-preview", "medium", {"thinkingLevel": "MEDIUM", **THOUGHTS}),
        ("models/gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32768, **THOUGHTS}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", "low", {"thinkingBudget": 1024, **THOUGHTS}),
    ],
)
def test_how_hard_a_model_thinks(model: str, effort: str, thinking: object) -> None:
    assert {"thinkingConfig": thinking} == config(model, reasoning_effort=effort)


@pytest.mark.parametrize(
    ("model", "effort"), [("gemini-2.0-flash", "high"), ("gemma-3-27b-it", "low"), (MODEL, "vast"), (MODEL, 5)]
)
def test_an_effort_that_means_nothing_is_dropped(model: str, effort: object) -> None:
    written = outgoing(model=model, reasoning_effort=effort)

    assert ("reasoning_effort",) == written.dropped
    assert {"contents"} == set(json.loads(b"".join(written.body)))


def test_whether_thoughts_are_shown_can_be_set() -> None:
    shown, hidden = {"include_thoughts": True}, {"include_thoughts": False}

    assert {"thinkingConfig": THOUGHTS} == config(options=shown)
    assert {"thinkingConfig": {"thinkingLevel": "HIGH"}} == config(reasoning_effort="high", options=hidden)
    assert {} == config("gemini-2.0-flash", options=shown)


def test_what_gemini_has_no_word_for_is_dropped_and_said() -> None:
    written = outgoing(
        user="u", metadata={"a": "b"}, logprobs=True, top_logprobs=2, store=True, parallel_tool_calls=False, x_own=1
    )

    assert ("user", "metadata", "logprobs", "top_logprobs", "store", "parallel_tool_calls", "x_own") == written.dropped
    assert {"contents"} == set(json.loads(b"".join(written.body)))


def test_what_asks_for_nothing_is_not_said_to_be_dropped() -> None:
    written = outgoing(
        stream=True, stream_options={"include_usage": True}, n=1, logprobs=False, store=False,
        parallel_tool_calls=True, modalities=["text"],
    )  # fmt: skip

    assert () == written.dropped


def test_what_the_model_refused_is_left_out() -> None:
    written = outgoing(temperature=1, reasoning_effort="low", without=("temperature", "reasoning_effort"))

    assert {"contents"} == set(json.loads(b"".join(written.body)))
    assert ("temperature", "reasoning_effort") == written.dropped


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a", 5]}, "stop"),
        ({"stop": list("abcdef")}, "stop"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"messages": {}}, "messages"),
    ],
)
def test_what_cannot_be_carried_over_is_said(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(NotCarriedError) as raised:
        GEMINI.write(asking(**{"messages": HI, **fields}))

    assert param == raised.value.param
