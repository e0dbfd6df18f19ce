"""What a request asks for, whichever language it is asked in; and the problem of one that cannot be answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


class BadRequestError(Exception):
    """A request that is refused with `status`; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


@contextmanager
def reading() -> Iterator[None]:
    """Refuses what a reader trips over: a value of another type than its place may have."""
    try:
        yield
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as problem:
        raise BadRequestError("The request has a value of a type that is not expected there.") from problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The parts of a request that change the answer."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    """The turns, with `role` (`user`, `assistant`, `system` or `tool`) and `content` (a text, or parts with `text`)."""
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    max_tokens: int | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    """The offered functions: name and parameters."""
    forced_tools: Sequence[str] = ()
    """Names of the functions that must be called."""
    schema: object = None
    """JSON schema of the wanted answer, {} for any object, None for text."""
    stops: Sequence[str] = ()
    """Texts that end the answer before they are said."""
    images: int = 0
    """How many images the request shows."""
    reasons: bool = True
    """Whether the reasoning may be told; false only where the request turned it off."""
    prefills: bool = True
    """Whether an answer goes on with the last turn where that is the assistant's."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The request itself, for what only its own language asks."""

    @property
    def prompt_tokens(self) -> int:
        """Words of all messages, and four for each message around them."""
        return words_of(self.messages)


def words_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """What the messages count in tokens: their words, and four around each."""
    return sum(4 + len(text_of(message).split()) for message in messages)


def parse_json(body: bytes) -> object:
    """The decoded body, or None when it is no JSON."""
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded


def decoded_object(body: bytes) -> Mapping[str, Any]:
    """The decoded body. Raises BadRequestError when it is no JSON object."""
    decoded = parse_json(body)
    if not isinstance(decoded, dict):
        raise BadRequestError(
            "We could not parse the JSON body of your request. The API expects a JSON object, sent with the "
            "content type application/json."
        )
    return decoded


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, also when its content is a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; empty for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list that are not empty, or the one text; empty for anything else."""
    found = value if isinstance(value, list) else [value]
    return tuple(one for one in found if isinstance(one, str) and one)


def member(value: object, *path: str) -> Any:
    """What stands at a path of object members; None where it ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
