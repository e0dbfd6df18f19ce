"""Embeddings of one route have one length."""

from proxy.routing.dimensions import Dimensions


def test_the_first_answer_sets_the_length() -> None:
    dimensions = Dimensions()

    assert [None, None] == [dimensions.problem("e", None, 1536) for _ in range(2)]
    assert "the vectors have 3072 numbers, those that this route gave before 1536" == dimensions.problem(
        "e", None, 3072
    )
    assert dimensions.problem("other", None, 3072) is None
    assert dimensions.problem("e", None, 1536) is None


def test_what_was_asked_for_must_be_given() -> None:
    dimensions = Dimensions()

    assert [None, None] == [dimensions.problem("e", asked, asked) for asked in (256, 512)]
    assert "the vectors have 1536 numbers, not 256 as was asked for" == dimensions.problem("e", 256, 1536)


def test_memory_is_bounded() -> None:
    dimensions = Dimensions()
    for number in range(5000):
        dimensions.problem("e", number, number)

    assert 1024 == len(dimensions._given)
