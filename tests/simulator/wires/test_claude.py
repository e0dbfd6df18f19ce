"""Which Claude takes what, by its name."""

import pytest

from proxy.simulator.wires import claude


@pytest.mark.parametrize(
    ("model", "who"),
    [
        ("claude-3-5-sonnet-20241022", ("", 3, 5)),
        ("claude-sonnet-4-20250514", ("sonnet", 4, 0)),
        ("claude-sonnet-4-5-20250929", ("sonnet", 4, 5)),
        ("us.anthropic.claude-opus-4-6-v1:0", ("opus", 4, 6)),
        ("claude-fable-5", ("fable", 5, 0)),
        ("anthropic/claude-haiku-4.5", ("haiku", 4, 5)),
        ("gpt-5", None),
        ("simulated", None),
    ],
)
def test_family_and_generation(model, who):
    assert who == claude.claude(model)


@pytest.mark.parametrize(
    ("model", "prefill", "sampling", "system", "forced"),
    [
        ("claude-sonnet-4-5", True, True, False, True),
        ("claude-opus-4-6", False, True, False, True),
        ("claude-opus-4-7", False, False, False, True),
        ("claude-opus-4-8", False, False, True, True),
        ("claude-opus-5-5", False, False, True, False),
        ("claude-fable-5-1", False, False, True, False),
        ("claude-sonnet-5", False, False, True, True),
        ("claude-haiku-5-5", False, False, True, True),
        ("simulated", True, True, False, True),
    ],
)
def test_what_a_generation_takes(model, prefill, sampling, system, forced):
    taken = (claude.takes_prefill, claude.takes_sampling, claude.takes_system_turns, claude.takes_forced_tools)
    assert [prefill, sampling, system, forced] == [takes(model) for takes in taken]
