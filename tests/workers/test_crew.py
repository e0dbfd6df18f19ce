"""Who works, who leads, and what follows from an end."""

import math

from proxy.workers.crew import Crew, Ended


def begun(size: int = 2, now: float = 0.0) -> Crew:
    crew = Crew(size)
    start_due(crew, now)
    return crew


def start_due(crew: Crew, now: float) -> list[int]:
    numbers = []
    for place in crew.due(now):
        number = crew.free_number()
        crew.started(place, number, 1000 + number, now)
        numbers.append(number)
    return numbers


def leader(crew: Crew) -> int | None:
    return None if crew.leader is None else crew.leader.number


def end(crew: Crew, number: int, now: float, *, killed: bool = True, roll: float = 1.0) -> Ended:
    return crew.ended(number, killed=killed, now=now, roll=roll)


def test_one_for_each_place() -> None:
    crew = begun(3)

    assert ([0, 1, 2], []) == (list(crew.members), crew.due(99.0))
    assert not crew.all_ready
    for number in range(3):
        crew.ready(number, 1.0)
    assert crew.all_ready


def test_the_first_leads_and_then_whoever_has_served_for_longest() -> None:
    crew = begun(3)
    assert 0 == leader(crew)
    crew.ready(2, 1.0)
    crew.ready(1, 2.0)
    assert 2 == leader(crew)
    end(crew, 2, 3.0)
    assert 1 == leader(crew)
    end(crew, 1, 3.0)
    assert 0 == leader(crew)
    end(crew, 0, 3.0)
    assert leader(crew) is None


def test_whoever_served_for_a_while_is_replaced_at_once() -> None:
    crew = begun()
    for now in range(2, 100, 2):
        crew.ready(0, now - 1.5)
        assert 0.0 == end(crew, 0, now).replaced_in
        assert [0] == start_due(crew, now)
    assert {"killed": 49} == crew.restarts
    assert (49, 0) == (crew.restarts_of(0), crew.restarts_of(1))


def test_quick_ends_are_followed_by_longer_and_longer_pauses_and_then_by_nobody() -> None:
    crew, now = begun(1), 0.0
    pauses = []
    while (ended := end(crew, 0, now, killed=False)).replaced_in is not None:
        pauses.append(ended.replaced_in)
        assert (now + ended.replaced_in, []) == (crew.next_due(), crew.due(now))
        now += ended.replaced_in
        start_due(crew, now)

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4] == pauses
    assert ended.given_up and crew.hopeless and math.inf == crew.next_due()
    assert {"failed": 7} == crew.restarts


def test_luck_shortens_the_pause() -> None:
    assert 0.025 == end(begun(), 0, 0.0, roll=0.25).replaced_in


def test_a_place_that_is_given_up_leaves_the_others_at_work() -> None:
    crew = begun(2)
    crew.ready(1, 0.5)
    for _ in range(8):
        ended = end(crew, 0, 1.0, roll=0.0)
        start_due(crew, 1.0)

    assert ended.given_up and not crew.hopeless and crew.all_ready
    assert (1, [0]) == (leader(crew), crew.unserved())


def test_a_good_while_makes_up_for_quick_ends() -> None:
    crew = begun(1)
    for _ in range(7):
        end(crew, 0, 1.0, roll=0.0)
        start_due(crew, 1.0)
    crew.ready(0, 1.0)
    end(crew, 0, 2.0)
    start_due(crew, 2.0)

    assert 0.1 == end(crew, 0, 2.0).replaced_in


def test_whoever_leaves_is_replaced_before_it_is_gone() -> None:
    crew = begun(2)
    crew.ready(0, 0.0)
    crew.ready(1, 0.5)
    crew.leaves(0, 1.0)

    assert (1, [2]) == (leader(crew), start_due(crew, 1.0))
    assert Ended(crew.members[0], None) == end(crew, 0, 9.0, killed=False)
    assert {"asked": 1} == crew.restarts


def test_there_are_numbers_for_as_many_as_may_be_there_at_once() -> None:
    crew = begun(1)
    for _ in range(20):
        for number in [*crew.members]:
            if crew.members[number].phase != "leaving":
                crew.leaves(number, 1.0)
        start_due(crew, 1.0)

    assert crew.numbers == len(crew.members)
    assert [] == crew.due(1.0)
    end(crew, 3, 2.0)
    assert [3] == start_due(crew, 2.0)


def test_whoever_does_not_become_ready_is_stuck() -> None:
    crew = begun(2)
    crew.ready(1, 0.5)

    assert 30.0 == crew.next_stuck()
    assert ([], [0]) == (crew.stuck(29.9), [each.number for each in crew.stuck(30.0)])


def test_without_means_to_start_one_it_is_tried_again_and_again() -> None:
    crew = Crew(1)
    pauses = [round(crew.not_started(0, 0.0, 1.0), 1) for _ in range(10)]

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *[6.4] * 4] == pauses
    assert (6.4, [], [0]) == (crew.next_due(), crew.due(6.3), crew.due(6.4))
    assert not crew.hopeless
