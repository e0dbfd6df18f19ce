"""Which models are known to continue a trailing assistant message, and what each kind wants for it."""

from __future__ import annotations

import pytest

from proxy.dialects.prefill import PREFILLS, Prefill, prefill_of
from proxy.dialects.registry import KINDS
from proxy.streams.seam import Echo

CONTINUING = [
    ("anthropic", "claude-3-haiku-20240307"),
    ("anthropic", "claude-3-5-sonnet-latest"),
    ("anthropic", "claude-3-7-sonnet-20250219"),
    ("anthropic", "claude-3.5-haiku"),
    ("anthropic", "claude-opus-4-20250514"),
    ("anthropic", "claude-sonnet-4-0"),
    ("anthropic", "claude-opus-4-1"),
    ("anthropic", "claude-opus-4-1-20250805"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-sonnet-4-5@20250929"),
    ("anthropic", "anthropic/claude-haiku-4.5"),
    ("bedrock", "anthropic.claude-3-haiku-20240307-v1:0"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("gemini", "gemini-2.0-flash"),
    ("gemini", "models/gemini-2.5-pro"),
    ("gemini", "gemini-3-pro-preview"),
    ("gemini", "gemini-3.1-flash-lite"),
    ("deepseek", "deepseek-chat"),
    ("deepseek", "deepseek-v4-pro"),
    ("mistral", "mistral-large-latest"),
    ("mistral", "ft:open-mistral-7b:x"),
    ("groq", "llama-3.3-70b-versatile"),
    ("groq", "meta-llama/llama-4-maverick-17b-128e-instruct"),
    ("groq", "moonshotai/kimi-k2-instruct-0905"),
    ("vllm", "Qwen/Qwen3-32B"),
    ("llamacpp", "default"),
    ("llamacpp", "/models/Qwen3-8B-Q4_K_M.gguf"),
    ("ollama", "llama3.2:3b"),
    ("simulated", "anything at all"),
]
OTHERS = [
    ("anthropic", "claude-opus-4-6"),
    ("anthropic", "claude-sonnet-4-6-20260101"),
    ("anthropic", "claude-opus-4-8"),
    ("anthropic", "claude-opus-4-10"),
    ("anthropic", "claude-sonnet-4.6"),
    ("anthropic", "claude-sonnet-5"),
    ("anthropic", "claude-sonnet-5-4"),
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-30"),
    ("anthropic", "my-claude-3-opus"),
    ("gemini", "gemini-3.5-flash-lite"),
    ("gemini", "gemini-3.6-flash"),
    ("gemini", "models/gemini-3.10-flash"),
    ("gemini", "gemini-4-pro"),
    ("gemini", "gemini-flash-latest"),
    ("deepseek", "deepseek-reasoner"),
    ("mistral", "magistral-medium-latest"),
    ("groq", "openai/gpt-oss-120b"),
    ("groq", "qwen/qwen3-32b"),
    ("groq", "deepseek-r1-distill-llama-70b"),
    ("groq", "groq/compound"),
    ("vllm", "openai/gpt-oss-20b"),
    ("vllm", "Qwen/Qwen3-30B-A3B-Thinking-2507"),
    ("llamacpp", "/models/DeepSeek-R1-Distill-Qwen-7B.gguf"),
    ("ollama", "gpt-oss:20b"),
    ("ollama", "qwq"),
    ("openai", "gpt-4o"),
    ("azure", "gpt-4o"),
    ("xai", "grok-3"),
    ("openrouter", "anthropic/claude-3.5-sonnet"),
    ("unheard of", "claude-3-opus"),
]


@pytest.mark.parametrize(("kind", "model"), CONTINUING)
def test_models_that_continue(kind: str, model: str) -> None:
    assert PREFILLS[kind] is prefill_of(kind, model, None)


@pytest.mark.parametrize(("kind", "model"), OTHERS)
def test_models_that_are_not_known_to(kind: str, model: str) -> None:
    assert prefill_of(kind, model, None) is None


@pytest.mark.parametrize(("kind", "model"), [*CONTINUING, *OTHERS])
def test_the_operators_word_stands_above_the_rows(kind: str, model: str) -> None:
    assert prefill_of(kind, model, False) is None
    assert PREFILLS.get(kind, Prefill()) == prefill_of(kind, model, True)


def test_the_plain_way() -> None:
    plain = prefill_of("openai", "gpt-4o", True)
    assert Prefill(echo=Echo.UNKNOWN, message={}, fields={}, drop=frozenset(), path=None) == plain


def test_every_row_is_of_a_kind_that_there_is() -> None:
    assert set(PREFILLS) <= set(KINDS)
    # A row that set what it leaves out would mean nothing if it were applied in the other order.
    assert {"deepseek"} == {kind for kind, row in PREFILLS.items() if set(row.fields) & row.drop}


def test_what_is_known_of_the_echo() -> None:
    echoes = {kind: row.echo for kind, row in PREFILLS.items() if row.echo is not Echo.UNKNOWN}
    never = dict.fromkeys(("anthropic", "bedrock", "vllm"), Echo.NEVER)
    assert {**never, "mistral": Echo.ALWAYS} == echoes


ADDRESSES = [
    ("deepseek", "https://api.deepseek.com", "https://api.deepseek.com/beta"),
    ("deepseek", "https://api.deepseek.com/v1", "https://api.deepseek.com/beta"),
    ("deepseek", "https://api.deepseek.com/beta", "https://api.deepseek.com/beta"),
    ("deepseek", "http://gateway:8080/deepseek", "http://gateway:8080/deepseek/beta"),
    ("mistral", "https://api.mistral.ai/v1", "https://api.mistral.ai/v1"),
]


@pytest.mark.parametrize(("kind", "usual", "expected"), ADDRESSES)
def test_address(kind: str, usual: str, expected: str) -> None:
    assert expected == PREFILLS[kind].address(usual)
