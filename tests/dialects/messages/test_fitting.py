"""Thinking, as another generation of Claude than the client had in mind can take it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from proxy.dialects.messages.fitting import fitted

NEWEST, MINDFUL, BETWEEN = "claude-opus-5", "claude-opus-5-5", "claude-sonnet-5-5"
BUDGETED, OLDEST = "claude-sonnet-4-5", "claude-3-5-haiku-20241022"
ADAPTIVE = {"type": "adaptive"}
ENABLED = {"type": "enabled", "budget_tokens": 2000}
SHOWN = {"type": "adaptive", "display": "summarized"}
ASKED = {"role": "user", "content": "hi"}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "x"}


def fit(model: str, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body = {"max_tokens": 32000, "messages": [ASKED], **fields}
    result = fitted(msgspec.json.decode(json.dumps(body), type=dict[str, Raw]), model)
    return {name: json.loads(bytes(result.fields[name])) for name in fields if name in result.fields}, result.dropped


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        (BUDGETED, ADAPTIVE, {"type": "enabled", "budget_tokens": 8192}),
        (OLDEST, ADAPTIVE, None),
        (OLDEST, ENABLED, None),
        (NEWEST, ENABLED, SHOWN),
        (MINDFUL, {"type": "disabled"}, None),
        (BETWEEN, {"type": "disabled"}, {"type": "between_tools"}),
        (BUDGETED, {"type": "between_tools"}, None),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_way(model: str, thinking: Any, expected: Any) -> None:
    left = ({}, ("thinking",)) if expected is None else ({"thinking": expected}, ())
    assert left == fit(model, thinking=thinking)


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        (NEWEST, ADAPTIVE),
        ("claude-opus-4-6", ENABLED),
        (BUDGETED, ENABLED),
        (BUDGETED, {"type": "disabled"}),
        ("river-7b", ADAPTIVE),
        (BUDGETED, "hard"),
        (BUDGETED, {"type": "another"}),
    ],
)
def test_what_fits_is_the_same_object(model: str, thinking: Any) -> None:
    fields = {"thinking": Raw(json.dumps(thinking).encode()), "max_tokens": Raw(b"9000"), "messages": Raw(b"[]")}
    assert fitted(fields, model).fields is fields


def test_efforts_become_lower_ones_or_go() -> None:
    form = {"type": "json_schema", "schema": {}}
    config = {"effort": "xhigh", "format": form}
    assert ({"output_config": {"effort": "high", "format": form}}, ()) == fit("claude-sonnet-4-6", output_config=config)
    assert ({"output_config": {"format": form}}, ()) == fit(BUDGETED, output_config=config)
    assert ({}, ("output_config",)) == fit(BUDGETED, output_config={"effort": "high"})


@pytest.mark.parametrize(
    ("more", "thinks"),
    [
        ({"messages": [ASKED, {"role": "assistant", "content": [THOUGHT, CALL]}, RESULT]}, True),
        ({"messages": [ASKED, {"role": "assistant", "content": [CALL]}, RESULT]}, False),
        ({"messages": [ASKED, {"role": "assistant", "content": "Well"}]}, False),
        ({"max_tokens": 2000}, False),
    ],
)
def test_a_model_with_a_budget_thinks_only_where_it_may(more: dict[str, Any], thinks: bool) -> None:
    """litellm#18926."""
    assert thinks is ("thinking" in fit(BUDGETED, thinking=ADAPTIVE, **more)[0])


def test_thoughts_that_nobody_has_signed_are_left_out() -> None:
    """They come from a translated answer, and each request of the conversation was refused once for them."""
    unsigned = {**THOUGHT, "signature": ""}
    said = {"type": "text", "text": '"signature": ""'}
    messages = [
        ASKED,
        {"role": "assistant", "content": [unsigned, THOUGHT, said]},
        {"role": "user", "content": [said]},
        {"role": "assistant", "content": [unsigned]},
    ]
    expected = [ASKED, {"role": "assistant", "content": [THOUGHT, said]}, {"role": "user", "content": [said]}]
    assert {"messages": expected} == fit(NEWEST, messages=messages)[0]
    assert {"messages": messages} == fit("river-7b", messages=messages)[0]
