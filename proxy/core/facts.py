"""What is known of one model. Whatever is unknown is None, and never taken for zero or for "no"."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct


class PriceTier(NamedTuple):
    """What a model costs once the whole prompt is longer than `above` tokens; a price of None stays what it was."""

    above: int
    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None


class Price(NamedTuple):
    """What a model costs, in USD per million tokens; None where that is unknown."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    """Of a part of the prompt that was found in the provider's cache; unknown counts as `input`."""
    cache_write: float | None = None
    """Of a part of the prompt that was put there; unknown counts as `input`."""
    tiers: tuple[PriceTier, ...] = ()
    """Other prices for long prompts, by ascending length."""


class ModelFacts(Struct, frozen=True):
    """What a catalogue, a file and the servers themselves tell of one model."""

    context: int | None = None
    """Tokens of its window, prompt and answer together."""
    max_input: int | None = None
    """The most tokens of a prompt, where that is less than the window."""
    max_output: int | None = None
    """The most tokens of an answer."""
    quality: float | None = None
    """How good its answers are, from 0 to 1."""
    prefill: bool | None = None
    """Whether it goes on with an assistant's message at the end as with its own answer."""
    price: Price | None = None
    vision: bool | None = None
    """Whether it takes images."""
    audio: bool | None = None
    """Whether it takes sound."""
    documents: bool | None = None
    """Whether it takes PDF files."""
    tools: bool | None = None
    """Whether it calls functions."""
    structured: bool | None = None
    """Whether its output can be bound to a JSON schema."""
    json_mode: bool | None = None
    """Whether its output can be bound to JSON of any form."""
    reasoning: bool | None = None
    """Whether it can think before it answers."""
    dimensions: int | None = None
    """Of an embeddings model: numbers in each of its vectors."""

    def over(self, farther: ModelFacts) -> ModelFacts:
        """These facts, and where one is unknown, what somebody farther away says. A price is taken as a whole."""
        if farther is NOTHING or farther == NOTHING:
            return self
        return ModelFacts(
            *(
                theirs if ours is None else ours
                for ours, theirs in (
                    (getattr(self, name), getattr(farther, name)) for name in ModelFacts.__struct_fields__
                )
            )
        )


NOTHING = ModelFacts()
"""Of a model that nobody knows."""


class Learned(Struct, frozen=True, omit_defaults=True):
    """What a server tells of one of its models."""

    facts: ModelFacts = NOTHING
    listed: bool | None = None
    """Whether it knows the model."""
    loaded: bool | None = None
    """Whether the model is in its memory."""
    slots: int | None = None
    """Requests that it answers at once."""
    gpu: float | None = None
    """The share of the loaded model that is in the memory of graphics cards, from 0 to 1."""

    def over(self, other: Learned) -> Learned:
        """All that this says, and what the other says besides."""
        return Learned(
            self.facts.over(other.facts),
            other.listed if self.listed is None else self.listed,
            other.loaded if self.loaded is None else self.loaded,
            other.slots if self.slots is None else self.slots,
            other.gpu if self.gpu is None else self.gpu,
        )
