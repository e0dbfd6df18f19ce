"""Whether and how a broken answer may be continued elsewhere: the words, the settings and the decision.

An answer is continued in one of three modes. `prefill`: the next model is given the part that was said as the beginning
of its own answer, and goes on. `instruct`: it is given the part as an earlier message, and is asked to go on. `restart`:
it is asked the client's own question anew, and its answer counts from where it leaves what the client has seen; it is
of use only if it says the same up to there, word for word.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proxy.streams.seam import MARK


class ResumeMode(StrEnum):
    """How a deployment is made to go on with what another one has begun."""

    PREFILL = "prefill"
    INSTRUCT = "instruct"
    RESTART = "restart"


class HoldBack(StrEnum):
    """What is kept from the client until it is complete, so that a break before that is never seen."""

    NONE = "none"
    TOOLS = "tools"
    """Each tool call until its arguments are complete."""
    ALL = "all"
    """Tool calls, and structured output as a whole."""


DEFAULT_INSTRUCTION: Final = (
    "Your last message was interrupted. Go on with it from exactly where it stops, in the same language and format, "
    "and add no comment of any kind. So that the two parts can be joined, begin with the mark "
    f"{MARK} and the last characters of that message, repeated exactly:\n\n{MARK}{{tail}}"
)
"""What a model without prefill is asked; `{tail}` stands for the last characters of the part that was said."""


@dataclass(frozen=True, slots=True)
class ResumeSettings:
    """What a route allows."""

    modes: tuple[ResumeMode, ...] = (ResumeMode.PREFILL, ResumeMode.INSTRUCT, ResumeMode.RESTART)
    """In the order of preference."""
    hold: HoldBack = HoldBack.TOOLS
    reasoning_again: bool = False
    """Whether the client is shown the reasoning of the deployment that goes on, after that of the one that broke."""
    instruction: str = DEFAULT_INSTRUCTION


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a deployment is asked to go on with."""

    mode: ResumeMode
    text: str
    """What the client has been told, without white space at its end."""
    tokens: int
    """About how many tokens that was."""
    tail: str
    """The last characters of `text`, as many as it takes to find the place again."""
    instruction: str
    """For `instruct`: what is asked, with `{tail}` in place of the tail."""
