"""Whatever a server says, nothing is raised, and nothing is believed that makes no sense."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.facts import Learned, ModelFacts
from proxy.dialects.live.question import Heard, Reply
from proxy.dialects.live.table import TABLE, learned, questions_for
from proxy.dialects.registry import KINDS
from tests.dialects.live.asking import told

WORDS = (
    "data", "models", "id", "name", "model", "context_length", "max_model_len", "size", "size_vram", "status", "value",
    "loaded", "role", "router", "capabilities", "model_info", "parameters", "num_ctx 5", "pricing", "prompt",
    "completion", "overrides", "min_prompt_tokens", "default_generation_settings", "n_ctx", "total_slots", "links",
    "next", "aliases", "parent", "m", "general.architecture", "modalities", "architecture", "input_modalities",
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(WORDS) | st.text()
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=30,
)


def heard_of(kind: str, reply: Reply) -> list[Heard]:
    waiting, heard = list(questions_for(kind, ("m", "n/o:p"), {"num_ctx": 4096})), []
    for _ in range(20):
        if waiting:
            heard.append(waiting.pop(0).read(reply))
            waiting += heard[-1].further
    return heard


def check(found: dict[str, Learned]) -> None:
    for each in found.values():
        facts = each.facts
        sizes = (facts.context, facts.max_input, facts.max_output, each.slots)
        assert all(size is None or (type(size) is int and 0 < size <= 50_000_000) for size in sizes)
        assert each.gpu is None or 0 <= each.gpu <= 1
        assert facts.price is None or all(paid is None or 0 <= paid <= 10**6 for paid in facts.price[:4])


@pytest.mark.parametrize("kind", TABLE)
@given(document=DOCUMENTS)
def test_any_json(kind: str, document: Any) -> None:
    heard = heard_of(kind, Reply(200, msgspec.json.encode(document)))

    check(learned(kind, heard, ("m", "n/o:p"), every=True))


@pytest.mark.parametrize("kind", TABLE)
@given(body=st.binary(max_size=200), status=st.integers(200, 599))
def test_any_bytes(kind: str, body: bytes, status: int) -> None:
    check(learned(kind, heard_of(kind, Reply(status, body)), ("m",), every=True))


@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b'{"data":' * 50_000,
        b'{"data":[{"id":"\\ud800","max_model_len":1e400}]}',
        b'{"models":[{"name":"m","context_length":' + b"9" * 5000 + b"}]}",
        b"\xff\xfe{}",
        b'{"data":[' + b'{"id":"x"},' * 20_000 + b'{"id":"m"}]}',
    ],
    ids=range(8),
)
def test_hostile_bytes(kind: str, body: bytes) -> None:
    found = learned(kind, heard_of(kind, Reply(200, body)), ("m",), every=True)

    check(found)
    assert len(found) <= 1024


def test_kinds_in_the_table_are_kinds() -> None:
    assert set(TABLE) <= set(KINDS)
    assert () == questions_for("bedrock", ("m",), {})


def test_the_first_answer_that_says_something_counts() -> None:
    first = Heard({"m": Learned(ModelFacts(context=10), loaded=True)}, Learned(loaded=False))
    second = Heard({"m": Learned(ModelFacts(context=20, tools=True), loaded=False), "other": Learned(listed=True)})

    expected = {"m": Learned(ModelFacts(context=10, tools=True), loaded=True), "n": Learned(loaded=False)}
    assert expected == learned("openai", [first, second], ("m", "n"))
    assert {*expected, "other"} == set(learned("openai", [first, second], ("m", "n"), every=True))


def test_nothing_is_known_of_models_of_which_nothing_was_said() -> None:
    assert {} == told("mistral", {"/models": {"data": [{"id": "other"}]}}, ("m",))
    assert {} == told("openai", {"/models": (401, {"error": {"message": "no"}})}, ("m",))
