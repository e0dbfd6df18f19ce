"""What the world knows of common models: windows, prices, what they take. Read from `catalogue.json` when first asked.

The file is made by `deploy/build_catalogue.py`, one line for each model that differs from what its name falls back to.
A name is looked up as it stands, then without what says only which edition of the model it is: a date, a version, a
region, a fine-tune. Each of these entries tells what the ones before it left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from proxy.core.facts import NOTHING, ModelFacts, Price, PriceTier

FILE: Final = Path(__file__).with_name("catalogue.json")

_LONGEST = 256
"""Characters of a name that may be a model's."""
_EDITION: Final = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|latest|\d{3})|-preview-\d{2}-\d{2,4})$")
"""A date, or Google's number of a release, at the end of a name."""
_VERSION: Final = re.compile(r"-v\d+(?::\d+)?(?::\w+)?$|:\d+$")
"""Bedrock's version of a model, with the size of its window where there are several."""
_REGION: Final = re.compile(r"^(?:us-gov|us|eu|apac|au|jp|ca|sa|global)\.")
"""Bedrock's inference profiles: the same model, served from other places and sometimes at another price."""
_MAKERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gemini",
    "deepseek": "deepseek",
    "x-ai": "xai",
    "mistralai": "mistral",
}
"""OpenRouter's names of those who have a kind of their own."""


class Row(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the file. What it leaves out is unknown, or said by the entry that its name falls back to."""

    context: int | None = None
    max_input: int | None = None
    max_output: int | None = None
    price: tuple[float | None, ...] = ()
    """In the order of `Price`, shortened at the end."""
    tiers: tuple[tuple[float | None, ...], ...] = ()
    """In the order of `PriceTier`."""
    can: str = ""
    """Capabilities by their names in `ModelFacts`, with a space between two."""
    lacks: str = ""
    dimensions: int | None = None

    def facts(self) -> ModelFacts:
        """The line as facts."""
        able = {**dict.fromkeys(self.can.split(), True), **dict.fromkeys(self.lacks.split(), False)}
        price = None
        if self.price:
            tiers = tuple(PriceTier(int(tier[0] or 0), *tier[1:]) for tier in self.tiers)
            paid = (*self.price, None, None, None)
            price = Price(paid[0], paid[1], paid[2], paid[3], tiers)
        return ModelFacts(
            self.context, self.max_input, self.max_output, price=price, dimensions=self.dimensions, **able
        )


class Catalogue(Struct):
    """The file."""

    made: dict[str, str]
    """Of which versions of its sources, and on which day."""
    models: dict[str, Row]
    """By `kind/name`, in lower case."""


@cache
def catalogue() -> Catalogue:
    """The catalogue that is part of the package."""
    return msgspec.json.decode(FILE.read_bytes(), type=Catalogue)


def known_facts(kind: str, model: str) -> ModelFacts:
    """What is known of a model of a kind of provider; every member is None for a model that is not listed."""
    rows = catalogue().models
    found = NOTHING
    for key, whole in entries_of(kind, model):
        row = rows.get(key)
        if row is not None:
            facts = row.facts()
            found = found.over(facts if whole else msgspec.structs.replace(facts, price=None))
    # Whether a model of OpenRouter's goes on with an answer depends on who serves it at the moment.
    return found if kind != "openrouter" else msgspec.structs.replace(found, prefill=None)


def entries_of(kind: str, model: str) -> Iterator[tuple[str, bool]]:
    """The entries that speak of a model, the nearest first, and whether their price is its price, too."""
    name = model.strip().lower()
    if not name or len(name) > _LONGEST:
        return
    if kind == "bedrock":
        yield from _bedrock(name.rsplit("/", 1)[-1])
    elif kind == "openrouter":
        yield from _openrouter(name)
    elif kind in {"openai", "azure"}:
        yield from _openai(kind, name)
    else:
        yield from ((f"{kind}/{each}", True) for each in _editions(name.removeprefix("models/")))


def _editions(name: str) -> Iterator[str]:
    yield name
    bare = _EDITION.sub("", name)
    if bare != name:
        yield bare


def _openai(kind: str, name: str) -> Iterator[tuple[str, bool]]:
    tuned = name.startswith("ft:")
    if tuned:
        # ft:MODEL:ORGANISATION:SUFFIX:ID. A tuned model is the same model at another price.
        name = name.split(":")[1]
        yield from ((f"openai/ft:{each}", True) for each in _editions(name))
    if kind == "azure":
        name = name.replace("gpt-35-", "gpt-3.5-", 1)
        yield from ((f"azure/{each}", not tuned) for each in _editions(name))
    yield from ((f"openai/{each}", not tuned) for each in _editions(name))


def versionless(name: str) -> str:
    """A name at Bedrock without its date and version."""
    while name != (shorter := _VERSION.sub("", _EDITION.sub("", name))):
        name = shorter
    return name


def _bedrock(name: str) -> Iterator[tuple[str, bool]]:
    bare = versionless(name)
    anywhere = _REGION.sub("", bare)
    names = dict.fromkeys((name, bare, _REGION.sub("", name), anywhere))
    yield from ((f"bedrock/{each}", True) for each in names)


def _openrouter(name: str) -> Iterator[tuple[str, bool]]:
    name, _, variant = name.removeprefix("~").partition(":")
    # A variant is the same model by another way, and at another price.
    yield from ((f"openrouter/{each}", not variant) for each in _editions(name))
    maker, slash, model = name.partition("/")
    kind = _MAKERS.get(maker)
    if slash and kind is not None:
        if kind == "anthropic":
            model = model.replace(".", "-")
        yield from ((f"{kind}/{each}", not variant) for each in _editions(model))
