"""Whether and how an answer may be continued: one line per case of the contract."""

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.streams.resume import (
    OBSTACLES,
    HoldBack,
    Obstacle,
    ResumeMode,
    ResumeSettings,
    Wanted,
    continuation,
    may_be_over,
    modes_for,
    next_mode,
    not_joined,
    refused,
)
from proxy.streams.transcript import Said

PREFILL, INSTRUCT, RESTART = ResumeMode.PREFILL, ResumeMode.INSTRUCT, ResumeMode.RESTART


def said(text: str = "", *others: str, reasoning: int = 0) -> Said:
    told = Said(others=set(others), reasoning=reasoning)
    told.add(text)
    return told


@pytest.mark.parametrize(
    ("told", "wanted", "holding", "expected"),
    [
        (said("Some words"), Wanted(), False, (PREFILL, INSTRUCT, RESTART)),
        (said("Some words", reasoning=9), Wanted(), False, (PREFILL, INSTRUCT, RESTART)),
        # Nothing that the client has seen stands against another answer.
        (said(reasoning=9), Wanted(), False, (RESTART,)),
        (said(" \n"), Wanted(), False, (RESTART,)),
        (said(reasoning=9), Wanted(structured=True), False, (RESTART,)),
        # A call that was begun, or has to come, is nobody's to go on with.
        (said("Let me look."), Wanted(), True, (RESTART,)),
        (said("Let me look."), Wanted(forced_tool=True), False, (RESTART,)),
        # The same answer every time: not in another model's words.
        (said("Some words"), Wanted(fixed=True), False, (PREFILL, RESTART)),
        # What cannot be gone on with once it was seen.
        (said("Some words"), Wanted(choices=2), False, Obstacle.CHOICES),
        (said("Some words"), Wanted(logprobs=True), False, Obstacle.LOGPROBS),
        (said("Some words", "logprobs"), Wanted(), False, Obstacle.LOGPROBS),
        (said("Some words"), Wanted(audio=True), False, Obstacle.AUDIO),
        (said("", "audio"), Wanted(), False, Obstacle.AUDIO),
        (said("Some words", "tool_calls"), Wanted(), False, Obstacle.TOOLS),
        (said("", "function_call"), Wanted(), True, Obstacle.TOOLS),
        (said("", "refusal"), Wanted(), False, Obstacle.REFUSAL),
        (said("Some words", "parts"), Wanted(), False, Obstacle.PARTS),
        (said('{"a": '), Wanted(structured=True), False, Obstacle.STRUCTURED),
        (said("half \ud83c"), Wanted(), False, Obstacle.HALF),
        (None, Wanted(), False, Obstacle.LOST),
    ],
)
def test_the_contract(
    told: Said | None, wanted: Wanted, holding: bool, expected: tuple[ResumeMode, ...] | Obstacle
) -> None:
    assert expected == modes_for(told, wanted, ResumeSettings(), holding=holding)


def test_what_a_route_allows() -> None:
    only = ResumeSettings(modes=(INSTRUCT, PREFILL))

    assert (INSTRUCT, PREFILL) == modes_for(said("Some words"), Wanted(), only, holding=False)
    assert Obstacle.MODE is modes_for(said("Some words"), Wanted(), only, holding=True)
    assert Obstacle.OFF is modes_for(said("Some words"), Wanted(), None, holding=False)


def test_every_obstacle_has_its_words() -> None:
    assert set(Obstacle) == set(OBSTACLES)
    assert HoldBack.TOOLS is ResumeSettings().hold


def test_each_deployment_is_asked_in_the_first_mode_that_it_can() -> None:
    modes = (PREFILL, INSTRUCT, RESTART)

    assert PREFILL is next_mode(modes, set(), prefill=True)
    assert INSTRUCT is next_mode(modes, set(), prefill=False)
    assert INSTRUCT is next_mode(modes, {"prefill"}, prefill=True)
    assert RESTART is next_mode(modes, {"prefill", "instruct"}, prefill=True)
    assert None is next_mode(modes, {"prefill", "instruct", "restart"}, prefill=True)
    assert None is next_mode((PREFILL,), set(), prefill=False)


def test_what_is_asked() -> None:
    told = said("Some words ")
    told.pieces = 2

    asked = continuation(INSTRUCT, told, told.text, ResumeSettings(instruction="go on: {tail}"))

    assert ("Some words", 2, "Some words", "go on: {tail}") == (asked.text, asked.tokens, asked.tail, asked.instruction)


Kind = FailureClass


@pytest.mark.parametrize(
    ("failure", "mode", "expected"),
    [
        # The client's own request was taken, so what is refused is what was added to it.
        (Failure(Kind.CALLER_FAULT, "http_400"), PREFILL, (Kind.PARAMETER_UNSUPPORTED, "prefill", True)),
        (Failure(Kind.CALLER_FAULT, "http_400"), INSTRUCT, (Kind.PARAMETER_UNSUPPORTED, "instruct", True)),
        # A refusal in so many words is remembered.
        (
            Failure(Kind.PARAMETER_UNSUPPORTED, "http_400", param="prefill"),
            PREFILL,
            (Kind.PARAMETER_UNSUPPORTED, "prefill", False),
        ),
        (Failure(Kind.CALLER_FAULT, "http_400"), RESTART, (Kind.PARAMETER_UNSUPPORTED, "restart", True)),
        # Everything else is what it is.
        (Failure(Kind.OVERLOADED, "http_503"), PREFILL, (Kind.OVERLOADED, None, False)),
        (
            Failure(Kind.PARAMETER_UNSUPPORTED, "http_400", param="top_p"),
            PREFILL,
            (Kind.PARAMETER_UNSUPPORTED, "top_p", False),
        ),
    ],
)
def test_whose_fault_it_is(failure: Failure, mode: ResumeMode, expected: tuple[FailureClass, str | None, bool]) -> None:
    judged = refused(failure, mode)

    assert expected == (judged.kind, judged.param, judged.value_only)


def test_who_cannot_be_joined_is_not_blamed() -> None:
    failure = not_joined(PREFILL, "other words")

    assert not failure.verdict.counts
    assert (True, "prefill") == (failure.value_only, failure.param)


@pytest.mark.parametrize(
    "text",
    [
        "An end.",
        "Really?",
        "```\nx = 1\n```",
        "*done*",
        "(so)",
        "\u7ec8\u3002",
        "\N{PARTY POPPER} ",
        "| a | b |\n",
        '{"a": 1}',
        'He said "no"',
    ],
)
def test_where_an_answer_could_end(text: str) -> None:
    assert may_be_over(text)


@pytest.mark.parametrize(
    "text", ["", " ", "in the mid", "one, ", "these:", "(", "5", "a -", "```\nx = (1)", "so *", 'said "']
)
def test_where_it_could_not(text: str) -> None:
    assert not may_be_over(text)
