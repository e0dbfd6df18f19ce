"""What the families of Claude take and refuse. One row each, and the first whose pattern fits counts.

Where two families differ in nothing that matters to a request they share a row. Facts are from Anthropic's
documentation and SDK, and from its customers' reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

LEVELS: Final = ("low", "medium", "high", "xhigh", "max")
"""All levels of effort, from the least to the most."""


class Thinking(Enum):
    """How a model is made to think."""

    NEVER = "never"
    BUDGET = "budget"
    """Only if asked, with a number of tokens."""
    ADAPTIVE = "adaptive"
    """As much as it finds right, at a level of effort."""


@dataclass(frozen=True, slots=True)
class Family:
    """What its models take. The defaults are those of the newest, which is also what an unknown Claude is taken for."""

    thinking: Thinking = Thinking.ADAPTIVE
    off: str | None = "disabled"
    """The type of `thinking` that turns it off; None where nothing does."""
    efforts: tuple[str, ...] = LEVELS
    hides_thoughts: bool = True
    """Thoughts are left out of answers unless they are asked for."""
    sampling: bool = False
    """Takes `temperature`, `top_p` and `top_k`."""
    one_of_sampling: bool = True
    """Of `temperature` and `top_p` it takes only one."""
    forced_tools: bool = True
    """Can be told that it has to call a tool."""
    structured: bool = True
    """Its output can be bound to a JSON schema, and so can the arguments of its calls."""
    system_turns: bool = False
    """Obeys system messages in the middle of a conversation."""


_NEWEST: Final = Family()
_MINDFUL: Final = replace(_NEWEST, off=None, forced_tools=False)
"""It always thinks, and decides alone whether it calls."""
_GENERATION_4_6: Final = replace(_NEWEST, hides_thoughts=False, sampling=True)
_GENERATION_4_5: Final = replace(_GENERATION_4_6, thinking=Thinking.BUDGET, off=None, efforts=())
_GENERATION_4: Final = replace(_GENERATION_4_5, structured=False)
_GENERATION_3_7: Final = replace(_GENERATION_4, one_of_sampling=False)
_OTHER: Final = _GENERATION_3_7
"""Another maker's model behind a server that speaks the same language."""

_ROWS: Final[tuple[tuple[str, Family], ...]] = (
    (r"claude-(fable|mythos)-5-\d(?!\d)", replace(_MINDFUL, system_turns=True)),
    (r"claude-(fable|mythos)-5", replace(_NEWEST, off=None, system_turns=True)),
    (r"claude-mythos", _MINDFUL),
    (r"claude-opus-5-5", replace(_MINDFUL, system_turns=True)),
    (r"claude-sonnet-5-5", replace(_NEWEST, off="between_tools", forced_tools=False, system_turns=True)),
    (r"claude-(opus-5|haiku-5-5|opus-4-8)", replace(_NEWEST, system_turns=True)),
    (r"claude-opus-4-6", replace(_GENERATION_4_6, efforts=("low", "medium", "high", "max"))),
    (r"claude-sonnet-4-6", replace(_GENERATION_4_6, efforts=("low", "medium", "high"))),
    (r"claude-(opus|sonnet|haiku)-4-5(?!\d)", _GENERATION_4_5),
    (r"claude-4-(opus|sonnet)|claude-(opus|sonnet)-4([-@]\d{8}|-[01](?!\d)|$)", _GENERATION_4),
    (r"claude-3-7", _GENERATION_3_7),
    (r"claude-([123]|v\d|instant)(?!\d)", replace(_GENERATION_3_7, thinking=Thinking.NEVER)),
    (r"claude-", _NEWEST),
)
_FAMILIES: Final = tuple((re.compile(pattern), family) for pattern, family in _ROWS)


def family_of(model: str) -> Family:
    """The family of a model, by whatever name a provider has for it: `us.anthropic.claude-opus-4-5-20251101-v1:0`."""
    name = model.lower().rpartition("/")[2].rpartition("anthropic.")[2].replace(".", "-")
    return next((family for pattern, family in _FAMILIES if pattern.match(name)), _OTHER)


def knows(model: str) -> bool:
    """Whether a model is one of Anthropic's, so that the table knows better than a catalogue."""
    return family_of(model) is not _OTHER
