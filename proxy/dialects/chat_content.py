"""What the content of a chat message or delta says: it is a text, or parts with texts and thoughts in them."""

from __future__ import annotations

from typing import Any


def text_of(content: object) -> str:
    """The text of a content, without the thoughts in it; "" for anything else. Never raises."""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in _parts(content) if part.get("type") != "thinking"]
    return "".join(text for text in texts if isinstance(text, str))


def thoughts_in(content: object) -> str:
    """The thoughts among the parts of a content, as Mistral tells them. Never raises."""
    thoughts = [part.get("thinking") for part in _parts(content) if part.get("type") == "thinking"]
    return "".join(map(text_of, thoughts))


def _parts(content: object) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
