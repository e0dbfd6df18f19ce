"""What an answer costs: by hand, and as another library works it out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.catalogue import known_facts
from proxy.core.cost import cost_of
from proxy.core.facts import Price, PriceTier

PRICE = Price(2.0, 10.0, 0.5, 3.0)


def usage(prompt: int | None = 1000, completion: int | None = 100, **details: Any) -> bytes:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, **details}
    return json.dumps({"usage": told}).encode()


def test_prompt_and_answer_at_their_prices_per_million() -> None:
    assert (1000 * 2 + 100 * 10) / 1e6 == pytest.approx(cost_of(usage(), PRICE))


def test_what_was_cached_and_what_was_written_have_their_own_prices() -> None:
    told = usage(prompt_tokens_details={"cached_tokens": 600, "cache_write_tokens": 300})

    assert (100 * 2 + 600 * 0.5 + 300 * 3 + 100 * 10) / 1e6 == pytest.approx(cost_of(told, PRICE))
    assert (1000 * 2 + 100 * 10) / 1e6 == pytest.approx(cost_of(told, Price(2.0, 10.0)))
    assert (400 * 2 + 600 * 0.5 + 100 * 10) / 1e6 == pytest.approx(cost_of(usage(prompt_cache_hit_tokens=600), PRICE))


def test_a_cache_that_is_free_costs_nothing() -> None:
    told = usage(completion=0, prompt_tokens_details={"cached_tokens": 1000})

    assert 0.0 == cost_of(told, Price(2.0, 10.0, 0.0))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (200_000, 200_000 * 2 + 100 * 10),
        (200_001, 200_001 * 4 + 100 * 15),
        (500_001, 500_001 * 8 + 100 * 15),
    ],
)
def test_a_long_prompt_costs_more_from_its_first_token(prompt: int, expected: float) -> None:
    price = PRICE._replace(tiers=(PriceTier(200_000, 4.0, 15.0), PriceTier(500_000, 8.0)))

    assert expected / 1e6 == pytest.approx(cost_of(usage(prompt), price))


def test_an_embedding_has_no_answer_to_pay_for() -> None:
    told = b'{"usage":{"prompt_tokens":1000,"total_tokens":1000}}'

    assert 0.00002 == pytest.approx(cost_of(told, Price(0.02)))


@pytest.mark.parametrize(
    ("document", "price"),
    [
        (usage(), None),
        (usage(), Price()),
        (usage(), Price(2.0)),
        (usage(), Price(output=2.0)),
        (usage(None), PRICE),
        (usage(completion=None), PRICE),
        (usage(prompt_tokens_details={"audio_tokens": 5}), PRICE),
        (usage(completion_tokens_details={"audio_tokens": 5}), PRICE),
        (None, PRICE),
        (b"", PRICE),
        (b"{}", PRICE),
        (b'{"usage":null}', PRICE),
        (b'{"usage":[]}', PRICE),
        (b'{"usage":{"prompt_tokens":"many"}}', PRICE),
        (b'{"usage":{"prompt_tokens":1e400}}', PRICE),
        (usage(-5), PRICE),
        (usage(prompt_tokens_details={"cached_tokens": 1001}), PRICE),
        (b"[" * 100_000, PRICE),
        (b"\xff", PRICE),
    ],
)
def test_what_is_not_known_has_no_cost(document: bytes | None, price: Price | None) -> None:
    assert cost_of(document, price) is None


@given(st.binary(max_size=200) | st.dictionaries(st.text(), st.integers() | st.text()).map(lambda d: usage(**d)))
def test_nothing_raises(document: bytes) -> None:
    cost = cost_of(document, PRICE)

    assert cost is None or cost >= 0


@pytest.mark.parametrize(
    ("kind", "provider", "model"),
    [
        ("openai", "openai", "gpt-4o-mini"),
        ("openai", "openai", "gpt-6-sol"),
        ("anthropic", "anthropic", "claude-haiku-4-5"),
        ("gemini", "google", "gemini-2.5-pro"),
        ("xai", "x-ai", "grok-4.3"),
    ],
)
@pytest.mark.parametrize("prompt", [1000, 250_000, 300_000])
def test_another_library_comes_to_the_same(kind: str, provider: str, model: str, prompt: int) -> None:
    genai_prices = pytest.importorskip("genai_prices")
    told = genai_prices.Usage(input_tokens=prompt, cache_read_tokens=400, output_tokens=200)
    theirs = genai_prices.calc_price(told, model, provider_id=provider).total_price
    document = usage(prompt, 200, prompt_tokens_details={"cached_tokens": 400})

    assert float(theirs) == pytest.approx(cost_of(document, known_facts(kind, model).price))
