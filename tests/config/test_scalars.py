import math

import pytest

from proxy.config.scalars import resolve_scalar


@pytest.mark.parametrize(
    "text",
    ["on", "off", "yes", "no", "y", "n", "On", "tRue", "12:30", "1_000", "2024-01-01", "0b11", "1e", ".", "+", "-",
     "1.2.3", "0x", "0o8", "=", "<<", "1 2", "\u0661\u0662"],
)  # fmt: skip
def test_what_is_text_to_an_editor_is_text(text: str) -> None:
    assert resolve_scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("012", 12), ("0", 0), ("-7", -7), ("+7", 7), ("0o17", 15), ("0xfF", 255), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0),
     ("1e3", 1000.0), ("true", True), ("False", False), ("TRUE", True), ("null", None), ("~", None), ("", None),
     (".inf", math.inf), ("-.Inf", -math.inf)],
)  # fmt: skip
def test_the_core_schema(text: str, value: object) -> None:
    resolved = resolve_scalar(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_not_a_number_is_one_of_the_numbers() -> None:
    assert math.isnan(resolve_scalar(".nan"))  # type: ignore[arg-type]


def test_a_number_too_long_for_python_is_a_float() -> None:
    assert resolve_scalar("9" * 5000) == math.inf
