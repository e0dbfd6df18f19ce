"""What the package knows of common models, and how a name is looked up."""

from pathlib import Path

import msgspec
import pytest

from proxy.config.catalogue import FILE, Catalogue, Row, catalogue, entries_of, known_facts
from proxy.core.facts import NOTHING, ModelFacts, Price, PriceTier
from proxy.dialects.registry import KINDS

TOP = Path(__file__).parents[2]


def test_the_three_limits_are_kept_apart() -> None:
    facts = known_facts("openai", "gpt-6-sol")

    assert (1_050_000, 922_000, 128_000) == (facts.context, facts.max_input, facts.max_output)


def test_prices_are_per_million_tokens_and_may_rise_with_the_prompt() -> None:
    assert Price(2, 10, 0.2, 2.5, (PriceTier(272_000, 4, 15, 0.4, 5),)) == known_facts("openai", "gpt-6-sol").price
    assert Price(2.5, 10, 1.25) == known_facts("openai", "gpt-4o").price


def test_capabilities_are_told_where_they_are_known() -> None:
    small, large = known_facts("openai", "gpt-3.5-turbo"), known_facts("openai", "gpt-4o")

    assert (False, True, None) == (small.vision, large.vision, small.documents)
    assert (True, True, True) == (large.tools, large.structured, large.json_mode)


def test_models_of_embeddings_have_dimensions() -> None:
    assert [1536, 3072, 1536] == [
        known_facts("openai", f"text-embedding-{name}").dimensions for name in ("3-small", "3-large", "ada-002")
    ]


@pytest.mark.parametrize(
    ("kind", "name", "same_as"),
    [
        ("openai", "gpt-4o-2024-11-20", ("openai", "gpt-4o")),
        ("openai", " GPT-4o ", ("openai", "gpt-4o")),
        ("azure", "gpt-4o", ("openai", "gpt-4o")),
        ("openrouter", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("anthropic", "claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
        ("gemini", "models/gemini-2.5-pro", ("gemini", "gemini-2.5-pro")),
        ("bedrock", "anthropic.claude-opus-4-6-v1:0", ("bedrock", "anthropic.claude-opus-4-6")),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1",
            ("bedrock", "us.anthropic.claude-opus-4-6-v1"),
        ),
    ],
)
def test_an_edition_of_a_model_is_that_model(kind: str, name: str, same_as: tuple[str, str]) -> None:
    assert NOTHING != known_facts(kind, name)
    assert known_facts(*same_as) == known_facts(kind, name)


def test_a_snapshot_with_a_price_of_its_own_keeps_it() -> None:
    old = known_facts("openai", "gpt-4o-2024-05-13")

    assert (Price(5, 15), 128_000) == (old.price, old.context)


def test_a_tuned_model_has_its_models_abilities_but_a_price_of_its_own() -> None:
    base, tuned = (
        known_facts("openai", "gpt-4o-mini"),
        known_facts("openai", "ft:gpt-4o-mini-2024-07-18:acme::7p4lURel"),
    )

    assert (base.vision, base.tools, base.max_output) == (tuned.vision, tuned.tools, tuned.max_output)
    assert (Price(0.15, 0.6, 0.075), Price(0.3, 1.2)) == (base.price, tuned.price)
    assert known_facts("openai", "ft:o4-mini:acme::1").price is None


def test_another_region_is_the_same_model_at_its_own_price() -> None:
    names = ("anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    here, there = (known_facts("bedrock", name) for name in names)

    assert (200_000, 200_000) == (here.context, there.context)
    assert here.price is not None and there.price is not None and here.price.input is not None


def test_a_variant_at_openrouter_has_no_known_price() -> None:
    plain, quick = (known_facts("openrouter", f"openai/gpt-4o{variant}") for variant in ("", ":nitro"))

    assert (128_000, 128_000) == (plain.context, quick.context)
    assert (Price(2.5, 10, 1.25), None) == (plain.price, quick.price)


def test_nobody_knows_who_serves_a_model_of_openrouter() -> None:
    assert (True, None) == (
        known_facts("anthropic", "claude-sonnet-4-5").prefill,
        known_facts("openrouter", "anthropic/claude-sonnet-4.5").prefill,
    )


@pytest.mark.parametrize(
    "name", ["nobody-knows-me", "", " ", "/", ":", "ft:", "ft::", "\ud800", "x" * 100_000, "a/b/c"]
)
@pytest.mark.parametrize("kind", [*KINDS, "bedrock", "no such kind"])
def test_an_unknown_name_is_unknown(kind: str, name: str) -> None:
    assert NOTHING == known_facts(kind, name)


def test_the_nearest_entry_wins_member_by_member() -> None:
    near, far = ModelFacts(context=1, vision=False), ModelFacts(context=2, max_output=3, vision=True)

    assert ModelFacts(context=1, max_output=3, vision=False) == near.over(far)
    assert near is near.over(NOTHING)


def test_the_file_is_small_sorted_and_in_order() -> None:
    text = FILE.read_text()
    _, *lines, _ = text.splitlines()
    keys = [line.partition('":')[0].lstrip('"') for line in lines]

    assert len(text) < 150_000
    assert sorted(catalogue().models) == keys
    assert {"genai-prices", "litellm", "on"} == set(catalogue().made)


def test_every_line_says_something_that_its_fallback_does_not() -> None:
    rows = catalogue().models

    assert [] == [key for key, row in rows.items() if row == Row()]
    assert [] == [key for key in rows if (key, True) not in list(entries_of(*key.split("/", 1)))]


def test_every_line_is_within_reason() -> None:
    for key, row in catalogue().models.items():
        facts = row.facts()
        told = [facts.context, facts.max_input, facts.max_output, facts.dimensions]
        assert all(number is None or 16 <= number <= 20_000_000 for number in told), key
        for price in (facts.price, *(facts.price.tiers if facts.price else ())):
            if price is not None:
                numbers = (price.input, price.output, price.cache_read, price.cache_write)
                assert all(number is None or 0 <= number <= 1000 for number in numbers), key


def test_a_member_that_nobody_knows_is_an_error_of_the_file() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"made":{},"models":{"a/b":{"contxt":1}}}', type=Catalogue)


def test_the_wheel_has_it() -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    packed = {file.distribution_path for file in wheel.WheelBuilder(str(TOP)).recurse_included_files()}

    assert "proxy/config/catalogue.json" in packed
