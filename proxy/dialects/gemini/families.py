"""What the generations of Gemini's models differ in, as data: how thinking is asked for, and what older ones lack.

Facts are from Google's documentation of thinking, of file input and of thought signatures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """One generation. The defaults are those of the newest."""

    models: re.Pattern[str]
    """What the names begin with, in lower case and without `models/`."""
    thinking: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """What each `reasoning_effort` becomes: a `thinkingLevel`, or a `thinkingBudget` in tokens. Empty: it is no matter
    of this model's."""
    signs: bool = True
    """Whether calls of tools in the history are refused without a thought signature."""
    fetches: bool = True
    """Whether it fetches files from any public address."""
    tools_with_json: bool = True
    """Whether tools may be declared where the answer is bound to JSON."""
    media_in_results: bool = True
    """Whether the result of a tool may hold images itself."""
    penalties: bool = False
    """Whether it takes penalties on what was said before."""


def _levels(none: str, minimal: str, low: str, medium: str, high: str) -> Mapping[str, str]:
    levels = {"none": none, "minimal": minimal, "low": low, "medium": medium, "high": high}
    return MappingProxyType({**levels, "xhigh": high, "max": high})


def _budgets(least: int, most: int) -> Mapping[str, int]:
    budgets = {"none": least, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
    return MappingProxyType({**budgets, "xhigh": most, "max": most})


_L, _M, _H = "LOW", "MEDIUM", "HIGH"
_FROM_LOW: Final = _levels(_L, _L, _L, _M, _H)
_FROM_MINIMAL: Final = _levels("MINIMAL", "MINIMAL", _L, _M, _H)


def _old(pattern: str, thinking: Mapping[str, str | int], *, fetches: bool = True) -> Family:
    return Family(
        re.compile(pattern),
        thinking,
        signs=False,
        fetches=fetches,
        tools_with_json=False,
        media_in_results=False,
        penalties=True,
    )


FAMILIES: Final = (
    _old(r"gemini-(1|2\.0)|gemma|learnlm", MappingProxyType({}), fetches=False),
    # It cannot but think; the least is what it takes in place of none.
    _old(r"gemini-2\.5-pro", _budgets(128, 32768)),
    _old(r"gemini-2", _budgets(0, 24576)),
    Family(re.compile(r"gemini-3-pro"), _levels(_L, _L, _L, _H, _H)),
    Family(re.compile(r"gemini-3(\.[156])?-flash"), _FROM_MINIMAL),
    # 3.1 Pro, 3.7, 3.8 and 4 take three levels, which every later model has taken, too.
    Family(re.compile(r""), _FROM_LOW),
)
"""The first that fits. None can be told to be silent but by the least of its levels."""


def family_of(model: str) -> Family:
    """The family of a model, by its name as the upstream knows it."""
    name = model.lower().rsplit("/", 1)[-1]
    return next(family for family in FAMILIES if family.models.match(name))
