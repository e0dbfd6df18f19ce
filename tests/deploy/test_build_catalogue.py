"""How the catalogue is made of two lists."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from proxy.config.catalogue import Catalogue, Row

SCRIPT = Path(__file__).parents[2] / "deploy" / "build_catalogue.py"
pytest.importorskip("genai_prices")


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_catalogue", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILD = script()


def listed(provider: str = "openai", mode: str = "chat", **members: Any) -> dict[str, Any]:
    return {"litellm_provider": provider, "mode": mode, **members}


def built(**entries: dict[str, Any]) -> tuple[dict[str, Row], set[str]]:
    builder = BUILD._Builder(entries, date(2026, 11, 21))
    return builder.rows(), builder.notes


def test_limits_are_kept_apart_and_flags_become_abilities() -> None:
    rows, _ = built(
        **{
            "gpt-unheard-of": listed(
                max_input_tokens=900,
                max_output_tokens=100,
                input_cost_per_token=2e-6,
                output_cost_per_token=8e-6,
                input_cost_per_token_above_200k_tokens=4e-6,
                supports_vision=True,
                supports_function_calling=False,
                supports_response_schema=True,
            )
        }
    )

    assert rows["openai/gpt-unheard-of"] == Row(
        max_input=900,
        max_output=100,
        price=(2, 8),
        tiers=((200_000, 4),),
        can="json_mode structured vision",
        lacks="tools",
    )


def test_where_the_lists_disagree_the_first_is_taken_and_both_are_told() -> None:
    rows, notes = built(**{"gpt-4o": listed(input_cost_per_token=3e-6, output_cost_per_token=10.1e-6)})

    assert (2.5, 10, 1.25) == rows["openai/gpt-4o"].price
    assert "openai/gpt-4o: input 2.5 here, 3 there" in notes
    assert not [note for note in notes if note.startswith("openai/gpt-4o: output")]


def test_the_larger_window_holds_since_a_small_one_shuts_out() -> None:
    rows, notes = built(**{"gpt-4o": listed(max_input_tokens=200_000)})

    assert (200_000, None) == (rows["openai/gpt-4o"].context, rows["openai/gpt-4o"].max_input)
    assert "openai/gpt-4o: window 128000 or 200000" in notes


def test_a_price_by_the_hour_is_taken_at_its_base_and_told() -> None:
    rows, notes = built()

    assert (0.15, 0.6, 0.003) == rows["deepseek/deepseek-flash"].price
    assert "deepseek/deepseek-flash: the price depends on the time of day; the base price is taken" in notes


def test_a_dated_name_that_says_nothing_new_is_left_out() -> None:
    rows, _ = built(
        **{name: listed(max_output_tokens=16_384) for name in ("gpt-4o", "gpt-4o-2024-11-20")},
        **{"gpt-4o-2024-08-06": listed(max_output_tokens=4096)},
    )

    assert "openai/gpt-4o-2024-11-20" not in rows
    assert Row(max_output=4096) == rows["openai/gpt-4o-2024-08-06"]


@pytest.mark.parametrize(
    "entry",
    [
        listed(mode="image_generation"),
        listed("vertex_ai"),
        listed(deprecation_date="2026-11-20", max_input_tokens=5),
    ],
)
def test_what_is_not_asked_for_or_no_longer_served_is_left_out(entry: dict[str, Any]) -> None:
    rows, _ = built(gone=entry)

    assert not [key for key in rows if key.endswith("/gone")]


def test_the_file_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second, out = tmp_path / "list.json", tmp_path / "catalogue.json"
    second.write_text(json.dumps({"sample_spec": {}, "gpt-4o": listed(max_output_tokens=16_384)}))
    arguments = ["build", "--litellm", str(second), "--on", "2026-11-21", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)

    assert 0 == BUILD.main()
    first = out.read_bytes()
    assert 0 == BUILD.main()
    assert first == out.read_bytes()
    assert 16_384 == msgspec.json.decode(first, type=Catalogue).models["openai/gpt-4o"].max_output
