"""llama.cpp: `/props` tells the window of each slot. In router mode it has none; there `/models` tells who is loaded.

A server with one model answers to any name, so what it tells holds for all. The window is told as the longest prompt:
an answer that comes to the window's end stops there, so a high cap on it is no reason to ask somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from proxy.core.facts import Learned, ModelFacts
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

_IN_MEMORY: Final = {"loaded": True, "loading": False, "unloaded": False, "sleeping": False, "downloading": False}
_MOST_ASKED: Final = 16
"""Loaded models that are asked about one by one."""


def questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """The first question; where it leads depends on the answer."""
    del options
    yield Question("/props", partial(_read_first, models=tuple(models)), at_root=True)


def spellings(model: str) -> Iterator[str]:
    """A name is a name."""
    yield model


def _read_first(reply: Reply, *, models: tuple[str, ...]) -> Heard:
    if reply.status == 503:
        # It says so while the model is being loaded.
        return Heard({}, Learned(loaded=False))
    document = document_of(reply)
    if document.get("role") == "router":
        return Heard({}, further=(Question("/models", partial(_read_list, models=models)),))
    told = _props(document)
    return NOTHING_HEARD if told is None else Heard({}, told)


def _props(document: Mapping[str, Any]) -> Learned | None:
    if not document:
        return None
    window = tokens(mapping(document.get("default_generation_settings")).get("n_ctx"))
    senses = mapping(document.get("modalities"))
    facts = ModelFacts(max_input=window, vision=flag(senses.get("vision")), audio=flag(senses.get("audio")))
    slots = tokens(document.get("total_slots"))
    asleep = flag(document.get("is_sleeping"))
    return Learned(facts, loaded=None if window is None else not asleep, slots=slots)


def _read_list(reply: Reply, *, models: tuple[str, ...]) -> Heard:
    document = document_of(reply)
    if not isinstance(document.get("data"), list):
        return NOTHING_HEARD
    found: dict[str, Learned] = {}
    for row in rows_of(document, "data"):
        if name := name_of(row, "id"):
            state = mapping(row.get("status")).get("value")
            told = Learned(listed=True, loaded=_IN_MEMORY.get(state) if isinstance(state, str) else None)
            found |= dict.fromkeys((name, *(words(row.get("aliases")) or ())), told)
    loaded = [name for name in models if name in found and found[name].loaded]
    # Asking must not load what is not loaded any more.
    further = tuple(
        Question(f"/props?model={quote(name, safe='')}&autoload=false", partial(_read_one, model=name), at_root=True)
        for name in loaded[:_MOST_ASKED]
    )
    return Heard(found, Learned(listed=False), further)


def _read_one(reply: Reply, *, model: str) -> Heard:
    told = _props(document_of(reply))
    return NOTHING_HEARD if told is None else Heard({model: told})
