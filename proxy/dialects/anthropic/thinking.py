"""How hard the model is to think, as its family wants to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy.dialects.anthropic.families import LEVELS, Family, Thinking

_BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 32768,
}
"""Tokens for thinking, of models that want a number."""
_LEAST: Final = 1024
"""Tokens below which Anthropic refuses a budget."""
_TYPES: Final = ("enabled", "adaptive", "disabled", "between_tools")


class Effort(Struct, frozen=True):
    """What a request says of thinking."""

    thinking: dict[str, Any] | None = None
    level: str | None = None
    """For `output_config.effort`."""
    heeded: bool = True
    """Whether that is what was asked for."""

    @property
    def thinks(self) -> bool:
        """Whether the model thinks because of it."""
        return self.thinking is not None and self.thinking["type"] in ("enabled", "adaptive")


NOTHING_SAID: Final = Effort()
NOT_HEEDED: Final = Effort(heeded=False)


def effort_of(asked: object, family: Family, cap: int) -> Effort:
    """What `reasoning_effort` becomes for a family; `cap` is the request's `max_tokens`, thoughts included."""
    if asked is None:
        return NOTHING_SAID
    if not isinstance(asked, str) or (asked != "none" and asked not in _BUDGETS):
        return NOT_HEEDED
    if family.thinking is Thinking.NEVER:
        return Effort(heeded=asked == "none")
    if asked == "none":
        return _off(family)
    if family.thinking is Thinking.BUDGET:
        return _budget(_BUDGETS[asked], cap)
    return Effort(_adaptive(family), _level("low" if asked == "minimal" else asked, family))


def passed_on(thinking: object, family: Family, cap: int) -> Effort | None:
    """What Anthropic's own `thinking` in a chat request becomes; None where there is none, or it makes no sense."""
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if not isinstance(thinking, dict) or kind not in _TYPES or family.thinking is Thinking.NEVER:
        return None
    if kind in ("disabled", "between_tools"):
        return _off(family)
    if family.thinking is Thinking.ADAPTIVE:
        return Effort(_adaptive(family))
    wanted = thinking.get("budget_tokens")
    return _budget(wanted if isinstance(wanted, int) else _BUDGETS["medium"], cap)


def _off(family: Family) -> Effort:
    if family.thinking is Thinking.BUDGET:
        return NOTHING_SAID
    if family.off is None:
        # As little as it can.
        return Effort(_adaptive(family), _level("low", family), heeded=False)
    return Effort({"type": family.off})


def _budget(wanted: int, cap: int) -> Effort:
    # Half of the tokens are left for the answer itself.
    budget = min(max(wanted, _LEAST), cap // 2)
    return Effort({"type": "enabled", "budget_tokens": budget}) if budget >= _LEAST else NOT_HEEDED


def _adaptive(family: Family) -> dict[str, Any]:
    # Thoughts that are left out look like silence, and silence runs into the timers.
    return {"type": "adaptive", "display": "summarized"} if family.hides_thoughts else {"type": "adaptive"}


def _level(wanted: str, family: Family) -> str | None:
    """The level that was wanted, or the next lower one that the family has."""
    below = LEVELS[: LEVELS.index(wanted) + 1]
    return next((level for level in reversed(below) if level in family.efforts), None)
