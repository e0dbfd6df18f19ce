"""Names in the letters that are allowed."""

import re

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.spelling import Spelling


@given(st.lists(st.text(), unique=True))
def test_no_two_names_become_one(names: list[str]) -> None:
    spelling = Spelling(64)
    sent = [spelling.sent(name) for name in names]

    assert len(names) == len(set(sent))
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) for name in sent)
    assert names == [spelling.renamed.get(name, name) for name in sent]
    assert sent == [spelling.sent(name) for name in names]


def test_a_name_that_looks_like_a_spelling() -> None:
    (taken,) = (Spelling(64).sent("the weather"),)
    spelling = Spelling(64)

    assert 2 == len({spelling.sent(taken), spelling.sent("the weather")})
    spelling = Spelling(64)
    assert 2 == len({spelling.sent("the weather"), spelling.sent(taken)})


def test_a_name_is_spelled_the_same_in_every_request() -> None:
    first, second = Spelling(64), Spelling(64)
    first.sent("something else")

    assert first.sent("the weather") == second.sent("the weather")


def test_names_that_are_known_stay_as_they_are_if_they_may() -> None:
    spelling = Spelling(64, ["a.b", "a_b"])

    assert ("a_b", "a_b_2") == (spelling.sent("a_b"), spelling.sent("a.b"))


def test_many_that_would_be_one_take_no_time() -> None:
    """They would take minutes if each looked for its place from the beginning."""
    spelling = Spelling(64)

    assert 9_999 == len({spelling.take("." * place) for place in range(9_999)})
