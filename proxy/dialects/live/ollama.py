"""Ollama: what a model can, from `/api/show`, and which models are loaded with which window, from `/api/ps`.

The window of a model is what it was loaded with. It is told as the longest prompt: an answer that comes to the end of
the window stops there, so a high cap on it is no reason to ask somebody else. What `/api/show` calls its context length
is the most that it was trained for, of which the server gives it a part by rules of its own: no window.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from proxy.core.facts import Learned, ModelFacts
from proxy.dialects.live.question import (
    NOTHING_HEARD,
    Heard,
    Question,
    Reply,
    document_of,
    least,
    mapping,
    name_of,
    rows_of,
    tokens,
    words,
)

_NUM_CTX: Final = re.compile(r"^\s*num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)
_MOST_PARAMETERS: Final = 64 * 1024


def questions(models: Sequence[str], options: Mapping[str, object]) -> Iterator[Question]:
    """One about what is loaded, and one about each model."""
    own = tokens(options.get("num_ctx"))
    # Where every request names a window, the one with which somebody else has loaded the model does not matter.
    yield Question("/api/ps", partial(_read_loaded, own_window=own is not None))
    for model in models:
        yield Question("/api/show", partial(_read_model, model=model, own=own), msgspec.json.encode({"model": model}))


def spellings(model: str) -> Iterator[str]:
    """A name without a tag is one with the tag `latest`."""
    yield model
    if ":" not in model.rpartition("/")[2]:
        yield f"{model}:latest"
    elif model.endswith(":latest"):
        yield model.removesuffix(":latest")


def _read_loaded(reply: Reply, *, own_window: bool) -> Heard:
    document = document_of(reply)
    if not isinstance(document.get("models"), list):
        return NOTHING_HEARD
    found: dict[str, Learned] = {}
    for row in rows_of(document, "models"):
        window = None if own_window else tokens(row.get("context_length"))
        told = Learned(ModelFacts(max_input=window), listed=True, loaded=True, gpu=_share(row))
        found |= dict.fromkeys(filter(None, (name_of(row, "name"), name_of(row, "model"))), told)
    return Heard(found, Learned(loaded=False))


def _share(row: Mapping[str, Any]) -> float | None:
    size, on_gpu = row.get("size"), row.get("size_vram")
    if not isinstance(size, int) or not isinstance(on_gpu, int) or not 0 <= on_gpu <= size or size <= 0:
        return None
    return on_gpu / size


def _read_model(reply: Reply, *, model: str, own: int | None) -> Heard:
    if reply.status == 404:
        return Heard({model: Learned(listed=False)})
    document = document_of(reply)
    if not document:
        return NOTHING_HEARD
    window = own if own is not None else _parameter(document.get("parameters"))
    if window is not None:
        window = least(window, _trained(mapping(document.get("model_info"))))
    facts = ModelFacts(max_input=window)
    can = words(document.get("capabilities"))
    if can:
        facts = ModelFacts(
            max_input=window,
            vision="vision" in can,
            # That it takes sound is said by new versions only.
            audio=True if "audio" in can else None,
            tools="tools" in can,
            reasoning="thinking" in can,
        )
    return Heard({model: Learned(facts, listed=True)})


def _parameter(parameters: object) -> int | None:
    if not isinstance(parameters, str):
        return None
    found = _NUM_CTX.search(parameters[:_MOST_PARAMETERS])
    return None if found is None else tokens(int(found[1]))


def _trained(info: Mapping[str, Any]) -> int | None:
    """The context length of its architecture; a model that sees has others besides."""
    told = info.get(f"{info.get('general.architecture')}.context_length")
    if told is None:
        told = next((value for key, value in info.items() if key.endswith(".context_length")), None)
    return tokens(told)
