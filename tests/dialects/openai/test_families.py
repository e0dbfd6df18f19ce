"""What OpenAI's models refuse by their names."""

from __future__ import annotations

import pytest

from proxy.dialects.openai.families import refused_by

DRAWN = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"}


@pytest.mark.parametrize(
    "model", ["o3", "o4-mini", "o1-2024-12-17", "gpt-5", "gpt-5-mini", "openai/GPT-5-nano-2025-08-07"]
)
def test_models_that_always_think(model: str) -> None:
    assert {"max_tokens", *DRAWN} == refused_by(model)


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5-chat-latest", "gpt-5.5-pro", "gpt-6-sol"])
def test_models_that_know_the_new_cap_alone(model: str) -> None:
    """litellm#13381. Whether they take a temperature depends on the effort."""
    assert {"max_tokens"} == refused_by(model)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1", "gpt-50", "o3000", "gpt-oss-120b", "my-gpt-5", "river-7b", ""])
def test_all_others(model: str) -> None:
    assert not refused_by(model)
