"""Every client of the matrix."""

from __future__ import annotations

from tests.conformance.matrix.anthropic_clients import CountTokens, Messages
from tests.conformance.matrix.client import Client
from tests.conformance.matrix.openai_clients import Chat, ChatHelper, Completions, Embeddings, Responses


def clients(url: str) -> list[Client]:
    """All of them, to ask at an address."""
    return [
        Chat(url),
        Chat(url, at_once=False),
        Chat(url, streams=True),
        Chat(url, streams=True, at_once=False),
        ChatHelper(url),
        ChatHelper(url, streams=True),
        Responses(url),
        Responses(url, streams=True),
        Completions(url),
        Completions(url, streams=True),
        Embeddings(url),
        Messages(url),
        Messages(url, streams=True),
        CountTokens(url),
    ]
