"""Questions to all workers, and what all have counted."""

import math

from proxy.workers.questions import Questions, Tally


def test_a_question_is_settled_when_all_have_answered() -> None:
    questions = Questions()
    questions.ask(0, 7, [1, 2], 10.0)
    questions.answer(1, 0, 7, "one")
    assert ([], 11.0) == (questions.settled(10.5), questions.next_due())
    questions.answer(2, 0, 7, "two")
    questions.answer(2, 0, 7, "again")

    assert [["one", "two"]] == [each.answers for each in questions.settled(10.5)]
    assert ([], math.inf) == (questions.settled(99.0), questions.next_due())


def test_whoever_is_gone_or_slow_is_not_waited_for() -> None:
    questions = Questions()
    questions.ask(0, 7, [1, 2], 10.0)
    questions.answer(1, 0, 8, "to another question")
    questions.gone(1)
    assert [] == questions.settled(10.9)

    assert [(0, 7, [])] == [(each.number, each.ticket, each.answers) for each in questions.settled(11.0)]


def test_a_sum_never_becomes_smaller() -> None:
    tally = Tally()
    tally.note(1, {"a": 2.0})
    tally.note(2, {"a": 3.0, "b": 1.0})
    assert {"a": 5.0, "b": 1.0} == tally.of_others(0)
    tally.gone(2)
    assert {"a": 5.0, "b": 1.0} == tally.of_others(0)
    tally.note(2, {"a": 1.0})

    assert {"a": 6.0, "b": 1.0} == tally.of_others(0)
    assert {"a": 4.0, "b": 1.0} == tally.of_others(1)
