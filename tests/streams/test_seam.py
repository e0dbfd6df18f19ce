"""The seam: each test is what was said, what the new text begins with, and what of it the client gets."""

import pytest

from proxy.streams.seam import MARK, Echo, Join, Replay, Seam, tail_of

STORY = (
    "Once upon a time there was a small program that stood between many people and many machines. "
    "When one of the machines fell silent in the middle of a sentence, the program asked another one to go on, and "
)
REST = "nobody who listened could tell where the one had ended and the other had begun."


def given(seam: Seam, text: str, *, size: int = 1) -> str:
    """What the client gets of a new text that arrives in pieces."""
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return "".join(seam.feed(piece) for piece in pieces) + seam.end()


def at_once(seam: Seam, text: str) -> str:
    """What the client gets before the new text is over."""
    return seam.feed(text)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("echo", Echo)
def test_what_goes_on_goes_through(echo: Echo, size: int) -> None:
    assert REST == given(Join(STORY, echo), REST, size=size)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("echo", Echo)
def test_a_long_beginning_that_comes_again_is_cut_away(echo: Echo, size: int) -> None:
    seam = Join(STORY, echo)

    assert REST == given(seam, STORY + REST, size=size)
    assert len(STORY.rstrip()) == seam.cut


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_long_tail_that_comes_again_is_cut_away(size: int) -> None:
    for length in (64, 80, len(STORY) - 5):
        assert REST == given(Join(STORY), STORY.rstrip()[-length:] + " " + REST, size=size)


def test_a_model_that_never_repeats_is_believed() -> None:
    assert "row row row" == given(Join("row ", Echo.NEVER), "row row row")


def test_a_model_that_always_repeats_is_believed() -> None:
    assert "row row" == given(Join("row ", Echo.ALWAYS), "row row row")


@pytest.mark.parametrize("said", ["row ", "ha " * 60, "| a | b |\n" * 20, STORY[:40]])
def test_what_may_be_a_repeat_or_right_is_refused(said: str) -> None:
    seam = Join(said)

    assert "" == given(seam, said + said + "and an end")
    assert seam.refused is not None


@pytest.mark.parametrize("said", ["row ", "ha " * 60, STORY, "| a | b |\n" * 20])
def test_the_mark_leaves_no_doubt(said: str) -> None:
    asked = tail_of(said)

    assert said + "and an end" == given(Join(said, asked=asked), MARK + asked + said[-1:] + said + "and an end")


def test_the_mark_may_be_spelled_otherwise() -> None:
    assert REST == given(Join(STORY, asked=tail_of(STORY)), f" [...] {tail_of(STORY)} {REST}")


def test_who_marks_other_words_is_refused() -> None:
    seam = Join(STORY, asked=tail_of(STORY))

    assert "" == given(seam, MARK + "some other words than those")
    assert seam.refused is not None


def test_who_was_asked_may_go_on_directly() -> None:
    assert REST == given(Join(STORY, asked=tail_of(STORY)), REST)


def test_who_starts_over_with_other_words_is_refused() -> None:
    seam = Join(STORY)

    assert "" == given(seam, "Once upon a time a program said something else.")
    assert "started over with other words" == seam.refused


def test_nothing_is_held_longer_than_it_takes() -> None:
    seam = Join(STORY)

    assert "nobody" == at_once(seam, "nobody")
    assert seam.settled


@pytest.mark.parametrize(
    ("said", "new", "expected"),
    [
        ("a word ", " next", "next"),
        ("a word ", "next", "next"),
        ("a word", " next", " next"),
        ("a wo", "rd", "rd"),
        ("one.\n", "\n\nTwo.", "\nTwo."),
        ("one.\n\n", "\n\nTwo.", "Two."),
        ("one.\n\n", "\nTwo.", "Two."),
        ("one. ", "\n\nTwo.", "\n\nTwo."),
        ("def f():\n    ", "\n    return 1", "return 1"),
        ("def f():\n", "\n    return 1", "    return 1"),
    ],
)
def test_white_space_comes_once(said: str, new: str, expected: str) -> None:
    assert expected == given(Join(said, Echo.NEVER), new)


def test_a_tail_shorter_than_a_word_is_no_tail() -> None:
    assert "end. And more." == given(Join("This is the end. This is the "), "end. And more.")


def test_who_begins_anew_must_say_the_same() -> None:
    assert REST == given(Replay(STORY), STORY + REST)
    assert "" == given(Replay(STORY), STORY)

    for text in (STORY[:-9], "Another" + STORY + REST, STORY[:50] + REST):
        seam = Replay(STORY)
        assert "" == given(seam, text)
        assert seam.refused is not None


def test_the_tail_names_one_place() -> None:
    said = "first line of the song, the same again and again\n" * 5 + "but then another one"

    assert said.endswith(tail_of(said, 10))
    assert said.find(tail_of(said, 10)) == len(said) - len(tail_of(said, 10))
    assert "short" == tail_of(" short ")
    assert ("ha " * 99).strip() == tail_of("ha " * 99)
