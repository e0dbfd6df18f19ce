"""Marks are found wherever they stand, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.core.mentions import mentions


@pytest.mark.parametrize("size", [0, 1, 2000, 40_000])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_mark_is_found_wherever_it_stands(size: int, place: float) -> None:
    before = b"develope" * round(size * place)
    value = Raw(before + b'"developer"' + b"r" * (size - round(size * place)))

    assert [True, True, False, False] == [
        mentions(value, *marks) for marks in ((b'"developer"',), (b"none", b'"developer"'), (b"none",), ())
    ]


@given(
    st.binary(max_size=60).map(lambda text: text.translate(b"ab" * 128)),
    st.sampled_from([b"a", b"ab", b"aba", b"bbab"]),
)
def test_it_is_as_in(text: bytes, mark: bytes) -> None:
    assert (mark in text) == mentions(Raw(text), mark)
