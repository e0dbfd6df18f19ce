"""Names and ids that OpenAI's wire wants shorter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.messages.names import client_names, function_name
from tests.dialects.messages.oracle import asking


@given(st.sets(st.text("abc_", min_size=1, max_size=128), max_size=8))
def test_names_come_back_as_they_were(names: set[str]) -> None:
    fields = asking({"tools": [{"name": name} for name in names]}).fields
    known = client_names(fields)
    for name in names:
        sent = function_name(name)
        assert len(sent) <= 64
        assert name == known.get(sent, sent)


def test_names_that_begin_alike_stay_apart() -> None:
    assert function_name("a" * 65) != function_name("a" * 66)


def test_a_request_without_tools() -> None:
    assert {} == client_names(asking({}).fields)
    assert {} == client_names(asking({"tools": None}).fields)
    assert {} == client_names(asking({"tools": "none"}).fields)
