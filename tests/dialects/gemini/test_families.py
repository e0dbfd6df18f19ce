"""Which model is of which family."""

from __future__ import annotations

import pytest

from proxy.dialects.gemini.families import FAMILIES, family_of


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("gemini-1.5-pro", 0),
        ("gemini-2.0-flash", 0),
        ("gemma-3-27b-it", 0),
        ("models/Gemini-2.5-Pro-preview", 1),
        ("gemini-2.5-flash-lite", 2),
        ("gemini-3-pro-preview", 3),
        ("gemini-3-flash-preview", 4),
        ("gemini-3.5-flash-lite", 4),
        ("gemini-3.1-pro-preview", 5),
        ("gemini-3.8-flash", 5),
        ("gemini-4-argon", 5),
        ("gemini-flash-latest", 5),
        ("", 5),
    ],
)
def test_the_first_that_fits(model: str, place: int) -> None:
    assert FAMILIES[place] is family_of(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_effort_means_something_or_none_does(family: object) -> None:
    thinking = getattr(family, "thinking", None)

    assert set(thinking or ()) in ({"none", "minimal", "low", "medium", "high", "xhigh", "max"}, set())
