"""Playing the server: each path answers what the test says."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxy.core.facts import Learned
from proxy.dialects.live.question import Heard, Question, Reply
from proxy.dialects.live.table import learned, questions_for


def reply(document: object, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(document))


def ask_all(
    kind: str, answers: Mapping[str, Any], models: Sequence[str] = ("m",), options: Mapping[str, object] | None = None
) -> tuple[list[Heard], list[str]]:
    """What is heard, and the paths in the order in which they were asked. An answer may be (status, document)."""
    waiting: list[Question] = list(questions_for(kind, models, options or {}))
    heard, asked = [], []
    while waiting:
        question = waiting.pop(0)
        asked.append(question.path)
        answer = answers.get(question.path, (404, {}))
        if callable(answer):
            answer = answer(msgspec.json.decode(question.body or b"null"))
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        heard.append(question.read(reply(document, status)))
        waiting += heard[-1].further
    return heard, asked


def told(
    kind: str,
    answers: Mapping[str, Any],
    models: Sequence[str] = ("m",),
    options: Mapping[str, object] | None = None,
    *,
    every: bool = False,
) -> dict[str, Learned]:
    """What is known of the models in the end."""
    return learned(kind, ask_all(kind, answers, models, options)[0], models, every=every)
