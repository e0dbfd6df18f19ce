"""The languages in which clients ask: one for each endpoint."""

from __future__ import annotations

from enum import StrEnum


class Wire(StrEnum):
    """A language of requests, answers, events and errors, as one endpoint speaks it."""

    CHAT = "chat"
    """OpenAI's chat completions. Whatever is translated is translated from and to this one."""
    COMPLETIONS = "completions"
    """OpenAI's completions of old: a prompt in place of messages."""
    RESPONSES = "responses"
    """OpenAI's responses."""
    MESSAGES = "messages"
    """Anthropic's messages."""
    COUNT_TOKENS = "count_tokens"
    """Anthropic's count of a prompt's tokens."""
    EMBEDDINGS = "embeddings"
    """OpenAI's embeddings."""


def own_form_of(wire: Wire) -> str:
    """Under this name a deployment's ignorance of a language is told and remembered, as if it were a field that it
    refuses: the request can be sent again, translated."""
    return f"wire:{wire.value}"
