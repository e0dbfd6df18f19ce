"""What the generations of Claude accept, by the name of a model, wherever it is served."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d+)(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
_SYSTEM_TURNS = {("fable", 5), ("mythos", 5), ("opus", 5)}
_SYSTEM_TURNS_EXACT = {("opus", 4, 8), ("sonnet", 5, 5), ("haiku", 5, 5), ("sonnet", 5, 0)}
_NEVER_FORCED = {
    ("fable", 5, 1), ("fable", 5, 2), ("mythos", 5, 1), ("mythos", 5, 2), ("opus", 5, 5), ("sonnet", 5, 5)
}  # fmt: skip


class Claude(NamedTuple):
    """Family and generation."""

    family: str
    major: int
    minor: int

    @property
    def generation(self) -> tuple[int, int]:
        """Such as (4, 5)."""
        return self.major, self.minor


def claude(model: str) -> Claude | None:
    """What a name tells; None for the name of anybody else."""
    found = _NAME.search(model)
    if found is None:
        return None
    return Claude(found["family"] or "", int(found["major"]), int(found["minor"] or 0))


def takes_prefill(model: str) -> bool:
    """Whether the last turn may be the assistant's."""
    who = claude(model)
    return who is None or who.generation <= (4, 5)


def takes_sampling(model: str) -> bool:
    """Whether temperature, top_p and top_k may be set."""
    who = claude(model)
    return who is None or who.generation < (4, 7)


def takes_thinking_budget(model: str) -> bool:
    """Whether thinking may be enabled with a budget; newer ones choose it themselves."""
    return takes_sampling(model)


def takes_system_turns(model: str) -> bool:
    """Whether `messages` may have the role `system`."""
    who = claude(model)
    return who is not None and ((who.family, who.major) in _SYSTEM_TURNS or who in _SYSTEM_TURNS_EXACT)


def takes_forced_tools(model: str) -> bool:
    """Whether a tool can be forced."""
    return claude(model) not in _NEVER_FORCED
