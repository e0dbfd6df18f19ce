"""What the models on Bedrock want apart from the common wire: how they are made to think, and what they refuse.

The families are told by the model's id, wherever it stands in an address of Amazon's. A model behind an id that says
nothing gets the common wire only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_ADAPTIVE: Final = re.compile(r"claude-((fable|mythos|opus|sonnet)-5|opus-4-[678]|sonnet-4-6|haiku-5-5)")
"""Claudes that choose themselves how much to think, within an effort."""
_BUDGETED: Final = re.compile(r"claude-(3-7|(opus|sonnet)-4|haiku-4-5)")
"""Claudes that think within a number of tokens."""
_NO_SAMPLING: Final = re.compile(r"claude-((fable|mythos|opus|sonnet)-5|opus-4-[78]|haiku-5-5)")
_NEVER_OFF: Final = re.compile(r"claude-(fable-5|mythos-5|opus-5-5)")
_OFF_BETWEEN_TOOLS: Final = re.compile(r"claude-sonnet-5-5")
_ON_BY_DEFAULT: Final = _NO_SAMPLING
_NOT_FORCED: Final = re.compile(r"claude-((fable|mythos)-5-[12]|(opus|sonnet)-5-5)")

_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_SMALLEST_BUDGET: Final = 1024
_GPT_EFFORTS: Final = {"none": "low", "minimal": "low", "low": "low", "medium": "medium"}
_NOTHING: Final[Mapping[str, Any]] = {}


class Thinking(NamedTuple):
    """How a model is told how hard to think."""

    fields: Mapping[str, Any] = _NOTHING
    """Of `additionalModelRequestFields`."""
    effort: str | None = None
    """Of `outputConfig`."""
    known: bool = True
    """Whether there is a way to tell it at all."""


def thinking(model: str, effort: str, cap: int | None, *, may_begin: bool) -> Thinking:
    """What an effort of chat's becomes. `cap` is the most tokens of the answer.

    `may_begin` is False where thoughts may not begin now: a call is forced, or was made without them.
    """
    if "gpt-oss" in model:
        return Thinking({"reasoning_effort": _GPT_EFFORTS.get(effort, "high")})
    if effort == "none":
        return _off(model)
    if _ADAPTIVE.search(model):
        return Thinking({"thinking": {"type": "adaptive"}}, _EFFORTS.get(effort, "high"))
    if not _BUDGETED.search(model) or not may_begin or (cap is not None and cap <= _SMALLEST_BUDGET):
        return Thinking(known=False)
    budget = _BUDGETS.get(effort, _BUDGETS["high"])
    if cap is not None:
        # The thoughts are part of the capped answer, and must leave room for the rest.
        budget = max(min(budget, cap // 2), _SMALLEST_BUDGET)
    return Thinking({"thinking": {"type": "enabled", "budget_tokens": budget}})


def _off(model: str) -> Thinking:
    if _OFF_BETWEEN_TOOLS.search(model):
        return Thinking({"thinking": {"type": "between_tools"}})
    if _NEVER_OFF.search(model):
        return Thinking(known=False)
    if _ON_BY_DEFAULT.search(model):
        return Thinking({"thinking": {"type": "disabled"}})
    return Thinking(known="claude" in model)


def takes_thoughts(model: str) -> bool:
    """Whether signed thoughts may be sent back. Only Claude signs; an address of Amazon's may stand for one."""
    return "claude" in model or model.startswith("arn:")


def takes_sampling(model: str) -> bool:
    """Whether temperature and the like may be set."""
    return not _NO_SAMPLING.search(model)


def takes_top_k(model: str) -> bool:
    """Whether `top_k` is known among the additional fields."""
    return "claude" in model and takes_sampling(model)


def takes_blank_stops(model: str) -> bool:
    """Whether an answer may be made to end at nothing but spaces or line ends."""
    return "claude" not in model


def can_be_forced(model: str) -> bool:
    """Whether it may be told to call a tool."""
    return not _NOT_FORCED.search(model)
