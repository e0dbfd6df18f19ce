"""The rows of the registry, and the header and address that are made of them."""

from __future__ import annotations

from typing import get_args

import pytest

from proxy.config.schema import KindName
from proxy.core.wire import Wire
from proxy.dialects.refused_field import OPTIONAL_FIELDS
from proxy.dialects.registry import KINDS, Kind, Quirks, address, auth, path_at


def test_every_kind_of_the_schema_has_a_row() -> None:
    assert set(KINDS) == set(get_args(KindName))
    assert all(name == kind.name for name, kind in KINDS.items())


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_rows_are_sound(kind: Kind) -> None:
    assert kind.base_url is None or (
        kind.base_url.startswith(("https://", "http://127.")) and not kind.base_url.endswith("/")
    )
    assert (kind.key_variable is None) == kind.local
    assert kind.base_url or kind.default_path or kind.options
    # What is dropped unasked may be dropped at all; web search is an extra of the platform, told by the reply's header.
    assert kind.quirks.drop <= OPTIONAL_FIELDS | {"web_search_options"}
    assert not set(kind.quirks.rename) & kind.quirks.drop
    hash(kind)


def test_only_openai_and_azure_know_the_developer_role() -> None:
    assert {name for name, kind in KINDS.items() if kind.quirks.developer_role} == {"openai", "azure", "simulated"}


@pytest.mark.parametrize("name", ["deepseek", "mistral", "openrouter", "llamacpp"])
def test_kinds_that_do_not_know_the_newer_cap(name: str) -> None:
    assert KINDS[name].quirks.token_cap == "max_tokens"


def test_auth() -> None:
    assert auth(KINDS["openai"], "sk-1") == {"Authorization": "Bearer sk-1"}
    assert auth(KINDS["azure"], "k") == {"api-key": "k"}
    assert auth(KINDS["ollama"], None) == auth(KINDS["vllm"], "") == {}


@pytest.mark.parametrize("key", ["sk-1\n", "sk\r\nx: y", "sk-\u20ac", "\x00"])
def test_a_key_that_cannot_stand_in_a_header_is_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="the key for openai") as error:
        auth(KINDS["openai"], key)
    assert key not in str(error.value)


ADDRESSES = [
    ("openai", None, "https://api.openai.com/v1"),
    ("azure", None, None),
    ("azure", "https://me.openai.azure.com/", "https://me.openai.azure.com/openai/v1"),
    ("azure", "https://me.openai.azure.com/openai/deployments/x", "https://me.openai.azure.com/openai/deployments/x"),
    ("llamacpp", "http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
    ("ollama", "http://127.0.0.1:11434", "http://127.0.0.1:11434"),
    ("ollama", "http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434"),
    ("anthropic", "https://api.anthropic.com/v1", "https://api.anthropic.com"),
    ("anthropic", "https://gate.example/claude/v1/messages", "https://gate.example/claude"),
    ("gemini", "https://host/v1beta/openai/", "https://host"),
    ("deepseek", "https://api.deepseek.com/v1", "https://api.deepseek.com"),
    ("vllm", "http://gpu:8000/prefix", "http://gpu:8000/prefix"),
    ("openai", "http://host/api/", "http://host/api"),
    ("openai", "http://host", "http://host"),
]


@pytest.mark.parametrize(("kind", "given", "expected"), ADDRESSES)
def test_address(kind: str, given: str | None, expected: str | None) -> None:
    assert address(KINDS[kind], given) == expected


AZURE = KINDS["azure"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (None, "https://me.openai.azure.com/openai/v1/chat/completions"),
        ("preview", "https://me.openai.azure.com/openai/v1/chat/completions?api-version=preview"),
        (
            "2024-10-21",
            "https://me.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_both_shapes_of_azure(version: str | None, expected: str) -> None:
    options = {} if version is None else {"api_version": version}
    for given in ("https://me.openai.azure.com", "https://me.openai.azure.com/openai/v1/"):
        base = address(AZURE, given, options)
        assert expected == f"{base}{path_at(AZURE, '/chat/completions', 'my gpt', options)}"


def test_bedrock_is_found_by_its_region() -> None:
    found = address(KINDS["bedrock"], None, {"region": "eu-central-1"})
    assert "https://bedrock-runtime.eu-central-1.amazonaws.com" == found
    assert address(KINDS["bedrock"], None) is None


def test_a_key_goes_where_the_wire_wants_it() -> None:
    assert {"x-api-key": "k"} == auth(KINDS["anthropic"], "k")
    assert {"x-goog-api-key": "k"} == auth(KINDS["gemini"], "k")
    assert {"Authorization": "Bearer k"} == auth(KINDS["gemini"], "k", Wire.EMBEDDINGS)
    assert {"x-api-key": "k"} == auth(KINDS["deepseek"], "k", Wire.MESSAGES)


def test_answers_are_edited_only_where_a_quirk_demands_it() -> None:
    assert not Quirks().edits_answers
    assert Quirks(reasoning_field="reasoning").edits_answers
    assert Quirks(empty_finish_reason="tool_calls").edits_answers
    assert Quirks(usage_lacks_reasoning=True).edits_answers
