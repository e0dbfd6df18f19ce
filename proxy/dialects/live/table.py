"""Who is asked about models, what, and how what is heard becomes what is known of the models that routes name.

Kinds that have no row are never asked: their lists tell nothing but names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from proxy.core.facts import Learned
from proxy.dialects.live import lists, llamacpp, ollama
from proxy.dialects.live.question import Heard, Question

_MOST: Final = 1024
"""Models of one upstream."""
_SILENCE: Final = Learned()


class Row(NamedTuple):
    """How one kind is asked."""

    questions: Callable[[Sequence[str], Mapping[str, object]], Iterator[Question]]
    """For the names of models, and the upstream's options."""
    spellings: Callable[[str], Iterator[str]]
    """The names under which the server may know a model, the likeliest first."""


TABLE: Final[Mapping[str, Row]] = {
    "ollama": Row(ollama.questions, ollama.spellings),
    "llamacpp": Row(llamacpp.questions, llamacpp.spellings),
    "vllm": Row(lists.vllm_questions, lists.spellings),
    "openai": Row(lists.openai_questions, lists.spellings),
    "groq": Row(lists.openai_questions, lists.spellings),
    "mistral": Row(lists.mistral_questions, lists.spellings),
    "openrouter": Row(lists.openrouter_questions, lists.openrouter_spellings),
    "anthropic": Row(lists.anthropic_questions, lists.spellings),
    "gemini": Row(lists.gemini_questions, lists.gemini_spellings),
}
"""By kind."""


def questions_for(kind: str, models: Sequence[str], options: Mapping[str, object]) -> tuple[Question, ...]:
    """What to ask an upstream of a kind about models; nothing where asking tells nothing."""
    row = TABLE.get(kind)
    return () if row is None else tuple(row.questions(models[:_MOST], options))


def learned(kind: str, heard: Iterable[Heard], models: Sequence[str], *, every: bool = False) -> dict[str, Learned]:
    """What is known now of the models, of which one that was never mentioned is left out.

    Of several answers, the first that says something counts. With `every`, all that the server has named is told, too.
    """
    row, answers = TABLE[kind], list(heard)
    found: dict[str, Learned] = {}
    for model in models[:_MOST]:
        told = _SILENCE
        for answer in answers:
            told = told.over(_told_of(answer, row.spellings(model)))
        if told != _SILENCE:
            found[model] = told
    if every:
        for answer in answers:
            for name, told in answer.models.items():
                if name not in found and len(found) < _MOST:
                    found[name] = told
    return found


def _told_of(answer: Heard, names: Iterator[str]) -> Learned:
    told = next((answer.models[name] for name in names if name in answer.models), None)
    return told if told is not None else answer.others or _SILENCE
