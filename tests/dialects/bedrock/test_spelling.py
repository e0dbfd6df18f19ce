"""Names as Bedrock takes them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.bedrock.spelling import Spelling


@given(st.lists(st.text(), unique=True))
def test_no_two_names_become_one(names: list[str]) -> None:
    spelling = Spelling()
    sent = [spelling(name) for name in names]

    assert len(names) == len(set(sent))
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) for name in sent)
    assert names == [spelling.changed.get(name, name) for name in sent]
    assert sent == [spelling(name) for name in names]


def test_a_name_that_looks_like_a_spelling() -> None:
    (taken,) = (Spelling()("the weather"),)
    spelling = Spelling()

    assert 2 == len({spelling(taken), spelling("the weather")})
    spelling = Spelling()
    assert 2 == len({spelling("the weather"), spelling(taken)})


def test_a_name_is_spelled_the_same_in_every_request() -> None:
    first, second = Spelling(), Spelling()
    first("something else")

    assert first("the weather") == second("the weather")
