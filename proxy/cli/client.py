"""A small client of our own server, for `ask` and for the demo's story."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask, and how."""

    model: str
    text: str
    stream: bool
    key: str | None = None


class Resumed(NamedTuple):
    """One place where a stream broke and another deployment went on with it, as the stream's comment tells it."""

    source: str
    target: str
    cause: str
    mode: str
    ms: float
    """From the break to the first new text."""
    at: int
    """Characters of the answer that had come by then."""


@dataclass(slots=True)
class Answer:
    """What the client saw."""

    status: int
    text: str = ""
    error: str | None = None
    """The message of an error, also of one within a stream; None for a whole answer."""
    told: dict[str, str] = field(default_factory=dict)
    """Our reply headers."""
    resumes: list[Resumed] = field(default_factory=list)


_RESUMED = b": holdfast-resumed "


class NotOurs(Exception):  # noqa: N818 - it is about the other side
    """The server does not speak as Holdfast does."""


async def chat(
    session: aiohttp.ClientSession, url: str, question: Question, *, on_text: Callable[[str], None] = lambda _text: None
) -> Answer:
    """Ask, and hand each piece of the answer to `on_text` as it arrives.

    Raises aiohttp's errors for a connection that fails, and NotOurs.
    """
    messages = [{"role": "user", "content": question.text}]
    body = {"model": question.model, "stream": question.stream, "messages": messages}
    headers = {"Authorization": f"Bearer {question.key}"} if question.key else {}
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            told = {name.lower(): value for name, value in response.headers.items() if name.lower().startswith("x-")}
            answer = Answer(response.status, told=told)
            if response.status == 200 and response.content_type == "text/event-stream":
                await _take_stream(answer, response.content, on_text)
            else:
                _take_document(answer, json.loads(await response.read()), on_text)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        # Whatever is read here has another shape than every answer of ours has.
        raise NotOurs("does not answer as a chat API does") from error
    return answer


async def _take_stream(answer: Answer, lines: aiohttp.StreamReader, on_text: Callable[[str], None]) -> None:
    whole = False
    async for line in lines:
        if line.startswith(_RESUMED):
            answer.resumes.append(_resumed(line.removeprefix(_RESUMED).decode(), len(answer.text)))
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            whole = True
            continue
        event = json.loads(data)
        if "error" in event:
            answer.error = event["error"]["message"]
        for choice in event.get("choices", []):
            _take_text(answer, choice["delta"].get("content"), on_text)
    if not whole and answer.error is None:
        answer.error = "the stream ended without its terminal marker"


def _resumed(comment: str, at: int) -> Resumed:
    """Of `from=primary/demo; to=backup/demo; cause=cut; mode=prefill; ms=12`."""
    told = dict(part.partition("=")[::2] for part in comment.strip().split("; "))
    return Resumed(told["from"], told["to"], told["cause"], told["mode"], float(told["ms"]), at)


def _take_document(answer: Answer, document: Any, on_text: Callable[[str], None]) -> None:
    if "error" in document:
        answer.error = document["error"]["message"]
    else:
        _take_text(answer, document["choices"][0]["message"].get("content"), on_text)


def _take_text(answer: Answer, text: str | None, on_text: Callable[[str], None]) -> None:
    answer.text += text or ""
    on_text(text or "")
