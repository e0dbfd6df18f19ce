"""How hard a model is told to think, family by family."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.facts import ModelFacts
from tests.dialects.anthropic.oracle import NEW, OLD, ask, assistant, body_of, call, outgoing, result, tool, user

SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk="
SUMMARIZED = {"type": "adaptive", "display": "summarized"}


def said(model: str, effort: str | None = None, **chat: Any) -> tuple[object, object, tuple[str, ...]]:
    """What is said of thinking, of effort, and what is dropped."""
    more = {} if effort is None else {"reasoning_effort": effort}
    written = outgoing(**{"model": model, "max_tokens": 100_000, **more, **chat})
    body = body_of(written)
    return body.get("thinking"), body.get("output_config"), written.dropped


def budget(tokens: int) -> dict[str, object]:
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "level"),
    [
        (NEW, "minimal", SUMMARIZED, "low"),
        (NEW, "medium", SUMMARIZED, "medium"),
        (NEW, "xhigh", SUMMARIZED, "xhigh"),
        (NEW, "max", SUMMARIZED, "max"),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", "max", {"type": "adaptive"}, "max"),
        ("claude-sonnet-4-6", "max", {"type": "adaptive"}, "high"),
        ("claude-sonnet-4-5", "minimal", budget(1024), None),
        ("claude-sonnet-4-5", "low", budget(2048), None),
        ("claude-sonnet-4-5", "medium", budget(8192), None),
        (OLD, "high", budget(16384), None),
        ("claude-3-7-sonnet-20250219", "max", budget(32768), None),
        ("claude-opus-4-6", "none", {"type": "disabled"}, None),
        ("claude-opus-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("claude-sonnet-4-5", "none", None, None),
        ("claude-3-5-sonnet-20241022", "none", None, None),
    ],
)
def test_effort(model: str, effort: str, thinking: object, level: str | None) -> None:
    assert (thinking, None if level is None else {"effort": level}, ()) == said(model, effort)


@pytest.mark.parametrize("model", ["claude-fable-5", "claude-mythos-5-1", "claude-opus-5-5"])
def test_models_that_always_think_do_so_as_little_as_they_can(model: str) -> None:
    assert (SUMMARIZED, {"effort": "low"}, ("reasoning_effort",)) == said(model, "none")


@pytest.mark.parametrize("model", [NEW, OLD, "claude-opus-4-6"])
def test_who_says_nothing_gets_the_models_own_way(model: str) -> None:
    assert (None, None, ()) == said(model)


def test_models_that_never_think_are_not_told_to() -> None:
    assert (None, None, ("reasoning_effort",)) == said("claude-3-5-haiku-latest", "high")
    assert (None, None, ("reasoning_effort",)) == said(NEW, "high", facts=ModelFacts(reasoning=False))


@pytest.mark.parametrize("effort", ["hard", 5, [], {}])
def test_what_is_no_effort_is_dropped(effort: object) -> None:
    assert (None, None, ("reasoning_effort",)) == said(NEW, reasoning_effort=effort)


def test_what_was_refused_before_is_left_out() -> None:
    assert (None, None, ("reasoning_effort",)) == said(NEW, "high", without=["reasoning_effort"])
    assert (None, None, ("reasoning_effort",)) == said("claude-sonnet-4-5", "high", without=["thinking"])


@pytest.mark.parametrize(("cap", "expected"), [(10_000, 5000), (2048, 1024)])
def test_a_budget_leaves_half_of_the_tokens_for_the_answer(cap: int, expected: int) -> None:
    assert budget(expected) == said(OLD, "high", max_tokens=cap)[0]


def test_where_that_is_too_little_nothing_is_thought() -> None:
    assert (None, None, ("reasoning_effort",)) == said(OLD, "high", max_tokens=2000)


class TestBudgets:
    def test_litellm_18926_without_the_thoughts_of_the_last_calls_there_is_no_thinking(self) -> None:
        messages = [user("a"), assistant(None, call("1")), result("1")]

        assert (None, None, ("reasoning_effort",)) == said(OLD, "high", messages=messages, tools=[tool()])
        assert SUMMARIZED == said(NEW, "high", messages=messages, tools=[tool()])[0]

    def test_with_these_thoughts_there_is(self) -> None:
        thought = {"type": "thinking", "thinking": "hm", "signature": SIGNATURE}
        messages = [user("a"), assistant(None, call("1"), thinking_blocks=[thought]), result("1")]

        assert budget(16384) == said(OLD, "high", messages=messages, tools=[tool()])[0]

    def test_calls_of_earlier_turns_do_not_matter(self) -> None:
        messages = [user("a"), assistant(None, call("1")), result("1"), assistant("b"), user("c")]

        assert budget(16384) == said(OLD, "high", messages=messages, tools=[tool()])[0]

    def test_a_forced_call_leaves_no_room_for_thoughts(self) -> None:
        assert None is said(OLD, "high", tools=[tool()], tool_choice="required")[0]
        assert SUMMARIZED == said(NEW, "high", tools=[tool()], tool_choice="required")[0]

    def test_nor_does_the_beginning_of_an_answer(self) -> None:
        assert None is said(OLD, "high", messages=[user("a"), assistant("b")])[0]


class TestAnthropicsOwnWords:
    def test_are_passed_on_as_far_as_the_family_takes_them(self) -> None:
        assert budget(3000) == said(OLD, thinking=budget(3000))[0]
        assert SUMMARIZED == said(NEW, thinking=budget(3000))[0]
        assert {"type": "disabled"} == said(NEW, thinking={"type": "disabled"})[0]
        assert {"type": "between_tools"} == said("claude-sonnet-5-5", thinking={"type": "disabled"})[0]
        assert None is said(OLD, thinking={"type": "disabled"})[0]
        assert budget(8192) == said(OLD, thinking={"type": "adaptive"})[0]

    def test_beside_an_effort_that_is_the_level(self) -> None:
        assert (SUMMARIZED, {"effort": "low"}, ()) == said(NEW, "low", thinking={"type": "adaptive"})

    @pytest.mark.parametrize("thinking", ["yes", {}, {"type": "hard"}, {"type": []}, 5])
    def test_what_makes_no_sense_is_not(self, thinking: object) -> None:
        assert (None, None, ("thinking",)) == said(NEW, thinking=thinking)


def test_effort_and_format_share_one_place() -> None:
    schema = {"type": "object", "properties": {}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    found = ask(model=NEW, reasoning_effort="low", response_format=wanted)["output_config"]

    assert {"effort", "format"} == set(found)
