"""Which path speaks which language, and which paths tell of an upstream without asking a model.

To add a language, write it as a `Wire` in a file of its own and give its paths a row here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from proxy.simulator.received import ReceivedRequest
from proxy.simulator.wires.anthropic import Anthropic, count_message_tokens
from proxy.simulator.wires.bedrock import Bedrock, BedrockStream
from proxy.simulator.wires.gemini import Gemini, GeminiStream, count_content_tokens
from proxy.simulator.wires.lists import gemini_models, models
from proxy.simulator.wires.ollama import Ollama
from proxy.simulator.wires.openai_chat import OpenAIChat
from proxy.simulator.wires.openai_completions import OpenAICompletions
from proxy.simulator.wires.openai_responses import OpenAIResponses
from proxy.simulator.wires.page import Page
from proxy.simulator.wires.pages import (
    llama_health,
    llama_props,
    llama_slots,
    ollama_generate,
    ollama_loaded,
    ollama_show,
    ollama_tags,
    ollama_version,
    vllm_version,
)
from proxy.simulator.wires.vectors import GeminiEmbed, GeminiEmbedBatch, OllamaEmbed, OpenAIEmbeddings
from proxy.simulator.wires.wire import Call, Wire

_OPENAI = r"(?:|/v1|/openai/v1|/openai/deployments/(?P<model>[^/]+)|/v1beta/openai|/api/v1|/beta)"
"""What providers put before the paths of OpenAI's languages."""
_ANTHROPIC = r"(?:|/anthropic)/v1"
_GEMINI = r"/v1(?:beta)?/models"

_ROWS: tuple[tuple[str, str, Wire | Page], ...] = (
    ("POST", rf"{_OPENAI}/chat/completions", OpenAIChat()),
    ("POST", rf"{_OPENAI}/completions", OpenAICompletions()),
    ("POST", rf"(?:{_OPENAI}|/openai)/responses", OpenAIResponses()),
    ("POST", rf"{_OPENAI}/embeddings", OpenAIEmbeddings()),
    ("POST", rf"{_ANTHROPIC}/messages", Anthropic()),
    ("POST", rf"{_ANTHROPIC}/messages/count_tokens", count_message_tokens),
    ("POST", rf"{_GEMINI}/(?P<model>[^/:]+):generateContent", Gemini()),
    ("POST", rf"{_GEMINI}/(?P<model>[^/:]+):streamGenerateContent", GeminiStream()),
    ("POST", rf"{_GEMINI}/(?P<model>[^/:]+):countTokens", count_content_tokens),
    ("POST", rf"{_GEMINI}/(?P<model>[^/:]+):embedContent", GeminiEmbed()),
    ("POST", rf"{_GEMINI}/(?P<model>[^/:]+):batchEmbedContents", GeminiEmbedBatch()),
    ("POST", r"/api/chat", Ollama()),
    ("POST", r"/api/embed", OllamaEmbed()),
    ("POST", r"/model/(?P<model>[^/]+)/converse", Bedrock()),
    ("POST", r"/model/(?P<model>[^/]+)/converse-stream", BedrockStream()),
    ("GET", r"/v1beta/models", gemini_models),
    ("GET", rf"(?:{_OPENAI}|{_ANTHROPIC})/models", models),
    ("GET", r"/api/tags", ollama_tags),
    ("GET", r"/api/ps", ollama_loaded),
    ("GET", r"/api/version", ollama_version),
    ("POST", r"/api/show", ollama_show),
    ("POST", r"/api/generate", ollama_generate),
    ("GET", r"/health", llama_health),
    ("GET", r"/props", llama_props),
    ("GET", r"/slots", llama_slots),
    ("GET", r"/version", vllm_version),
)


class Row(NamedTuple):
    """One line of the table."""

    method: str
    pattern: re.Pattern[str]
    target: Wire | Page


ROWS = tuple(Row(method, re.compile(pattern), target) for method, pattern, target in _ROWS)


class Place(NamedTuple):
    """Where a request arrived."""

    call: Call
    target: Wire | Page | None
    """None where the path or the method is unknown."""
    allowed: str | None = None
    """The method that the path knows."""


def place_of(received: ReceivedRequest) -> Place:
    """Where a request arrived."""
    path, _, query = received.path.partition("?")
    allowed = None
    for method, pattern, target in ROWS:
        found = pattern.fullmatch(path)
        if found is None:
            continue
        if method == received.method or (method == "GET" and received.method == "HEAD"):
            return Place(_call(received, path, query, found.groupdict()), target, method)
        allowed = allowed or method
    return Place(_call(received, path, query, {}), None, allowed)


def _call(received: ReceivedRequest, path: str, query: str, groups: Mapping[str, str | None]) -> Call:
    return Call(
        method=received.method,
        path=path,
        groups={name: unquote(value) for name, value in groups.items() if value is not None},
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=received.headers,
        body=received.body,
    )
