"""A small client of our own server, for `ask` and for the demo's story."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(slots=True)
class Answer:
    """What the client saw."""

    status: int
    text: str = ""
    error: str | None = None
    """The message of an error, also of one within a stream; None for a whole answer."""
    whole: bool = False
    """The answer was finished: for a stream, its terminal marker was seen."""
    told: dict[str, str] = field(default_factory=dict)
    """Our reply headers."""


async def chat(
    session: aiohttp.ClientSession,
    url: str,
    model: str,
    text: str,
    *,
    stream: bool,
    key: str | None = None,
    on_text: Callable[[str], None] = lambda _text: None,
) -> Answer:
    """Ask, and hand each piece of the answer to `on_text` as it arrives. Raises aiohttp's connection errors."""
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
        told = {name.lower(): value for name, value in response.headers.items() if name.lower().startswith("x-")}
        answer = Answer(response.status, told=told)
        if response.status == 200 and response.content_type == "text/event-stream":
            async for line in response.content:
                _take(answer, line.strip(), on_text)
            if not answer.whole and answer.error is None:
                answer.error = "the stream ended without its terminal marker"
        else:
            document = json.loads(await response.read())
            _take_document(answer, document, on_text)
    return answer


def _take(answer: Answer, line: bytes, on_text: Callable[[str], None]) -> None:
    if not line.startswith(b"data:"):
        return
    data = line[5:].strip()
    if data == b"[DONE]":
        answer.whole = True
        return
    event = json.loads(data)
    if "error" in event:
        answer.error = event["error"]["message"]
    for choice in event.get("choices", []):
        piece = choice["delta"].get("content") or ""
        answer.text += piece
        on_text(piece)


def _take_document(answer: Answer, document: Any, on_text: Callable[[str], None]) -> None:
    if "error" in document:
        answer.error = document["error"]["message"]
        return
    answer.text = document["choices"][0]["message"]["content"] or ""
    answer.whole = True
    on_text(answer.text)
