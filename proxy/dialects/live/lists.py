"""Lists of models: which there are, and what else each provider says of them.

Any server that speaks OpenAI's language has one. What it says of a window goes by several names, all of which are
understood of any server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from proxy.core.facts import Learned, ModelFacts, Price, PriceTier
from proxy.dialects.live.question import (
    NOTHING_HEARD,
    Heard,
    Question,
    Reply,
    document_of,
    flag,
    mapping,
    name_of,
    rows_of,
    tokens,
    words,
)

_PER_MILLION: Final = 1_000_000
_DEAREST: Final = 1.0
"""USD per token; more is a misunderstanding."""
_WINDOWS: Final = ("max_model_len", "context_window", "context_length", "max_context_length")
_OUTPUTS: Final = ("max_completion_tokens", "max_output_tokens")
_OFFSET: Final = re.compile(r"[?&]offset=(\d{1,6})(?:&|$)")
_PAGES: Final = 4
_DATED: Final = re.compile(r"-\d{8}$")


def spellings(model: str) -> Iterator[str]:
    """A name is a name."""
    yield model


# Any server.


def openai_questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """The list of any server that speaks OpenAI's language."""
    del models, options
    yield Question("/models", partial(_read_openai, loaded=None))


def vllm_questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """The list of a server that has loaded what it lists."""
    del models, options
    yield Question("/models", partial(_read_openai, loaded=True))


def _read_openai(reply: Reply, *, loaded: bool | None) -> Heard:
    document = document_of(reply)
    if not isinstance(document.get("data"), list):
        return NOTHING_HEARD
    rows = {name_of(row, "id"): row for row in rows_of(document, "data")}
    rows.pop("", None)
    found: dict[str, Learned] = {}
    for name, row in rows.items():
        window = _window(row)
        # An adapter has the window of the model that it adapts.
        if window is None and (parent := rows.get(name_of(row, "parent"))) is not None:
            window = _window(parent)
        most = next((most for key in _OUTPUTS if (most := tokens(row.get(key))) is not None), None)
        # llama.cpp's own list, whose window bounds the prompt.
        prompt = tokens(mapping(row.get("meta")).get("n_ctx"))
        told = Learned(ModelFacts(context=window, max_input=prompt, max_output=most), listed=True, loaded=loaded)
        found |= {each: told for each in (name, *(words(row.get("aliases")) or ())) if each not in found}
    return Heard(found, Learned(listed=False, loaded=None if loaded is None else False))


def _window(row: Mapping[str, Any]) -> int | None:
    return next((window for key in _WINDOWS if (window := tokens(row.get(key))) is not None), None)


# Mistral.


def mistral_questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """Mistral's list."""
    del models, options
    yield Question("/models", _read_mistral)


def _read_mistral(reply: Reply) -> Heard:
    found: dict[str, Learned] = {}
    for row in rows_of(document_of(reply), "data"):
        can = mapping(row.get("capabilities"))
        facts = ModelFacts(
            context=_window(row), vision=flag(can.get("vision")), tools=flag(can.get("function_calling"))
        )
        names = (name_of(row, "id"), *(words(row.get("aliases")) or ()))
        found |= {name: Learned(facts, listed=True) for name in names if name and name not in found}
    return Heard(found)


# OpenRouter.


def openrouter_questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """OpenRouter's list, page by page if it comes in pages."""
    del models, options
    yield Question("/models", partial(_read_openrouter, pages=_PAGES))


def openrouter_spellings(model: str) -> Iterator[str]:
    """The model; a variant has prices of its own, so it has to be listed itself."""
    yield model.removeprefix("~")


def _read_openrouter(reply: Reply, *, pages: int) -> Heard:
    document = document_of(reply)
    found = {
        name: Learned(_routed(row), listed=True) for row in rows_of(document, "data") if (name := name_of(row, "id"))
    }
    following = mapping(document.get("links")).get("next")
    offset = _OFFSET.search(following) if isinstance(following, str) and pages > 1 and found else None
    if offset is None:
        return Heard(found)
    # Only the number is taken: where the next page is, is not for an answer to say.
    return Heard(found, further=(Question(f"/models?offset={offset[1]}", partial(_read_openrouter, pages=pages - 1)),))


def _routed(row: Mapping[str, Any]) -> ModelFacts:
    senses = words(mapping(row.get("architecture")).get("input_modalities"))
    takes = words(row.get("supported_parameters"))
    return ModelFacts(
        context=tokens(row.get("context_length")),
        price=_price(mapping(row.get("pricing"))),
        vision="image" in senses if senses else None,
        audio="audio" in senses if senses else None,
        tools="tools" in takes if takes else None,
        reasoning="reasoning" in takes if takes else None,
    )


def _price(row: Mapping[str, Any]) -> Price | None:
    paid = _paid(row)
    if paid[0] is None or paid[1] is None:
        return None
    tiers = []
    for other in rows_of(row, "overrides"):
        # Others go by the hour, whose price nobody knows before.
        above = tokens(other.get("min_prompt_tokens"))
        if above is not None:
            tiers.append(PriceTier(above, *_paid(other)))
    return Price(*paid, tuple(sorted(tiers, key=lambda tier: tier.above)))


def _paid(row: Mapping[str, Any]) -> tuple[float | None, float | None, float | None, float | None]:
    return (
        _per_million(row.get("prompt")),
        _per_million(row.get("completion")),
        _per_million(row.get("input_cache_read")),
        _per_million(row.get("input_cache_write")),
    )


def _per_million(value: object) -> float | None:
    """USD per million tokens, of a price per token; None for what is no price, such as -1 for "it depends"."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)[:40]) > 32:
        return None
    try:
        each = float(value)
    except (ValueError, OverflowError):
        return None
    return round(each * _PER_MILLION, 9) if math.isfinite(each) and 0 <= each <= _DEAREST else None


# Anthropic.


def anthropic_questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """Anthropic's list."""
    del models, options
    yield Question("/v1/models?limit=1000", _read_anthropic)


def _read_anthropic(reply: Reply) -> Heard:
    found: dict[str, Learned] = {}
    for row in rows_of(document_of(reply), "data"):
        name, can = name_of(row, "id"), mapping(row.get("capabilities"))
        facts = ModelFacts(
            max_input=tokens(row.get("max_input_tokens")),
            max_output=tokens(row.get("max_tokens")),
            vision=_supported(can, "image_input"),
            documents=_supported(can, "pdf_input"),
            structured=_supported(can, "structured_outputs"),
            reasoning=_supported(can, "thinking"),
        )
        if name:
            found[name] = Learned(facts, listed=True)
            # The name without its date means the newest of them, which stands first.
            found.setdefault(_DATED.sub("", name), found[name])
    return Heard(found)


def _supported(can: Mapping[str, Any], name: str) -> bool | None:
    return flag(mapping(can.get(name)).get("supported"))


# Gemini.


def gemini_questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """Gemini's list."""
    del models, options
    yield Question("/v1beta/models?pageSize=1000", _read_gemini)


def gemini_spellings(model: str) -> Iterator[str]:
    """The name of a resource, whether or not the file says that it is one."""
    yield f"models/{model.removeprefix('models/')}"


def _read_gemini(reply: Reply) -> Heard:
    return Heard(
        {
            name: Learned(
                ModelFacts(
                    max_input=tokens(row.get("inputTokenLimit")),
                    max_output=tokens(row.get("outputTokenLimit")),
                    reasoning=flag(row.get("thinking")),
                ),
                listed=True,
            )
            for row in rows_of(document_of(reply), "models")
            if (name := name_of(row, "name"))
        }
    )
