"""Whether and how a broken answer may be continued elsewhere: the words, the settings and the decision.

An answer is continued in one of three modes. `prefill`: the next model is given the part that was said as the beginning
of its own answer, and goes on. `instruct`: it is given the part as an earlier message, and is asked to go on.
`restart`: it is asked the client's own question anew, and its answer counts from where it leaves what the client has
seen; it is of use only if it says the same up to there, word for word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proxy.core.failure import Failure, FailureClass
from proxy.streams.seam import MARK, tail_of
from proxy.streams.transcript import UNREADABLE, Said


class ResumeMode(StrEnum):
    """How a deployment is made to go on with what another one has begun."""

    PREFILL = "prefill"
    INSTRUCT = "instruct"
    RESTART = "restart"


PREFILL: Final = ResumeMode.PREFILL.value
"""Under this name a deployment's refusal to go on with a trailing assistant message is told and remembered, as if it
were a field of the request."""


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
    """About how many tokens were spent on it, reasoning included."""
    text_tokens: int
    """About how many of them are the text's."""
    tail: str
    """The last characters of `text`, as many as it takes to find the place again."""
    instruction: str
    """For `instruct`: what is asked, with `{tail}` in place of the tail."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for, as far as it decides whether its answer can be continued."""

    choices: int = 1
    logprobs: bool = False
    audio: bool = False
    structured: bool = False
    """The answer is to be a JSON document, or to fit a grammar."""
    forced_tool: bool = False
    """A tool has to be called."""
    fixed: bool = False
    """The same answer is wanted every time: a seed is given, or the temperature is 0."""


class Obstacle(StrEnum):
    """Why a broken answer is not continued; told to the client as the `reason` of its error."""

    OFF = "resume_off"
    LOST = "transcript_lost"
    CHOICES = "several_choices"
    LOGPROBS = "logprobs"
    AUDIO = "audio"
    TOOLS = "tool_calls"
    REFUSAL = "refusal"
    PARTS = "content_parts"
    HALF = "half_character"
    STRUCTURED = "structured_output"
    MODE = "mode_not_allowed"
    NOBODY = "no_deployment_left"
    FINAL = "final_failure"
    """The failure is one that another deployment would repeat."""
    DEADLINE = "deadline_exceeded"
    LANGUAGE = "no_chat_form"
    """The request cannot be said as a chat completion, which is what others are asked to go on with."""


OBSTACLES: Final[dict[Obstacle, str]] = {
    Obstacle.OFF: "continuing it elsewhere is switched off",
    Obstacle.LOST: "it was too long to be kept for another deployment",
    Obstacle.CHOICES: "of several choices none can be continued",
    Obstacle.LOGPROBS: "log probabilities cannot be continued",
    Obstacle.AUDIO: "audio cannot be continued",
    Obstacle.TOOLS: "a part of its tool calls is out already",
    Obstacle.REFUSAL: "a refusal is not continued",
    Obstacle.PARTS: "it holds parts that are no text",
    Obstacle.HALF: "it broke within a character",
    Obstacle.STRUCTURED: "a JSON document is not continued",
    Obstacle.MODE: "no allowed mode can continue it",
    Obstacle.NOBODY: "no other deployment could continue it",
    Obstacle.FINAL: "another deployment would say the same",
    Obstacle.DEADLINE: "the request's deadline is over",
    Obstacle.LANGUAGE: "the request cannot be put to others",
}
"""The same for people: how the sentence goes on after a semicolon."""


_ALONE = (
    ("logprobs", Obstacle.LOGPROBS),
    ("audio", Obstacle.AUDIO),
    ("tool_calls", Obstacle.TOOLS),
    ("function_call", Obstacle.TOOLS),
    ("refusal", Obstacle.REFUSAL),
    ("parts", Obstacle.PARTS),
    (UNREADABLE, Obstacle.LOST),
)
"""What cannot be gone on with once the client has seen it."""


def modes_for(
    said: Said | None, wanted: Wanted, settings: ResumeSettings | None, *, holding: bool
) -> tuple[ResumeMode, ...] | Obstacle:
    """The modes in which an answer may be continued, in the order of preference, or what stands in the way.

    `said` is what the client was told, None if that is not known. `holding` says that a tool call was begun that the
    client has not seen: text may only be gone on with by somebody who says the same up to there.
    """
    if settings is None:
        return Obstacle.OFF
    if said is None:
        return Obstacle.LOST
    text = said.text
    obstacle = _obstacle(said, text, wanted)
    if obstacle is not None:
        return obstacle
    modes = settings.modes
    if holding or wanted.forced_tool or not text.strip():
        modes = tuple(mode for mode in modes if mode is ResumeMode.RESTART)
    elif wanted.fixed:
        # Another model's other words are not what was asked for. Its prefill is: it was never promised to be the same.
        modes = tuple(mode for mode in modes if mode is not ResumeMode.INSTRUCT)
    return modes or Obstacle.MODE


def _obstacle(said: Said, text: str, wanted: Wanted) -> Obstacle | None:
    if wanted.choices > 1:
        return Obstacle.CHOICES
    if wanted.logprobs:
        return Obstacle.LOGPROBS
    if wanted.audio:
        return Obstacle.AUDIO
    for name, obstacle in _ALONE:
        if name in said.others:
            return obstacle
    try:
        text.encode()
    except UnicodeEncodeError:
        return Obstacle.HALF
    return Obstacle.STRUCTURED if wanted.structured and text.strip() else None


def continuation(mode: ResumeMode, said: Said, text: str, settings: ResumeSettings) -> Continuation:
    """What a deployment is asked in a mode. `text` is what `said` holds, put together once for all that need it."""
    text = text.rstrip()
    return Continuation(mode, text, said.tokens, said.text_tokens, tail_of(text), settings.instruction)


def may_be_over(text: str) -> bool:
    """Whether an answer could end here: not within a word or a block of code, after a comma or something that opens.

    Of an answer that is over before a word more was said, only this tells whether that can be true.
    """
    text = text.rstrip()
    last = text[-1:]
    if not last or last.isalnum() or last in _GOES_ON or text.count("```") % 2:
        return False
    # What opens and closes with the same sign has been closed where it stands there an even number of times.
    line = text[text.rfind("\n") + 1 :]
    return last not in _PAIRED or text.endswith("```") or line.count(last) % 2 == 0


_GOES_ON: Final = frozenset(",;:-/\\([{<&+=@#$%\N{EN DASH}\N{EM DASH}\xab\N{LEFT DOUBLE QUOTATION MARK}")
"""Characters after which more is to come."""
_PAIRED: Final = frozenset('"*_`~')


def not_joined(mode: ResumeMode, why: str, code: str = "seam_refused") -> Failure:
    """The failure of a continuation that cannot be joined: no fault of the deployment, and of this mode only."""
    message = f"its answer does not continue what was said: {why}"
    return Failure(FailureClass.PARAMETER_UNSUPPORTED, code, message, param=mode.value, value_only=True)


def refused(failure: Failure, mode: ResumeMode) -> Failure:
    """A failure of an attempt to go on, as the history takes it.

    The deployment that broke had taken the client's request, so a caller's fault is none here: it is about what was
    added to the request, or about this deployment. Then the next mode is tried, or the next deployment.
    """
    if failure.kind is not FailureClass.CALLER_FAULT and failure.param != PREFILL:
        return failure
    return Failure(
        FailureClass.PARAMETER_UNSUPPORTED,
        failure.code,
        failure.message,
        failure.status,
        param=mode.value,
        value_only=failure.param != PREFILL,
    )


def next_mode(modes: Sequence[ResumeMode], refused_names: set[str], *, prefill: bool) -> ResumeMode | None:
    """The mode for one deployment; None when there is none left for it. `prefill` says whether it can do that."""
    for mode in modes:
        if mode.value not in refused_names and (mode is not ResumeMode.PREFILL or prefill):
            return mode
    return None
