"""What a chat message or delta holds besides a plain text."""

from __future__ import annotations

from proxy.dialects.openai.said import text_of


def split(content: object) -> tuple[str, str]:
    """The text and the thoughts of content that is a text or a list of parts, as Mistral sends it. Never raises."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return "", ""
    parts = [part for part in content if isinstance(part, dict)]
    thoughts = [part for part in parts if part.get("type") == "thinking"]
    text = text_of([part for part in parts if part.get("type") != "thinking"])
    return text, "".join(text_of(part.get("thinking")) for part in thoughts)
