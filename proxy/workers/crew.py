"""Who works at which place, who leads, and what is done when a worker ends: decisions only.

Theory of operation: there are as many *places* as workers are wanted, and at each place at most one who serves. A
worker is *starting* until it says that it is ready, then *serving*; one that was asked to go is *leaving*: it finishes
what it has, and its place is given to another at once.

A worker that served for a second or more is replaced at once, whatever ended it. One that ended sooner is replaced
after a pause with full jitter, which doubles with each such end in a row, from 0.1 s to at most 10 s; after eight in a
row the place is given up, since what ends them all is not chance. With all places given up, the proxy is at its end.

Whoever is not ready after 30 s is to be ended, and then has ended too soon.

The *leader* is the one that has served for the longest; before anyone serves, the first that was started.

`now` is monotonic, in seconds; `roll` is luck from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

_LONG_ENOUGH_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_MOST_IN_A_ROW: Final = 8
_STARTING_S: Final = 30.0

Phase = Literal["starting", "serving", "leaving"]


@dataclass(slots=True)
class Member:
    """One worker. `number` is its own as long as it lives, and then another's."""

    number: int
    place: int
    pid: int
    started_at: float
    phase: Phase = "starting"
    ready_at: float = math.inf


@dataclass(slots=True)
class _Place:
    member: Member | None = None
    due: float = -math.inf
    """When somebody is to be started."""
    in_a_row: int = 0
    restarts: int = 0
    given_up: bool = False


class Ended(NamedTuple):
    """What follows from a worker's end."""

    member: Member
    replaced_in: float | None
    """Seconds until another one is started; None where none is: it was leaving, or its place is given up."""
    given_up: bool = False


@dataclass(slots=True)
class Crew:
    """The workers of one host."""

    size: int
    spare: int = 4
    """Numbers beyond one for each place and one for each that leaves it."""
    members: dict[int, Member] = field(default_factory=dict)
    """By number."""
    restarts: dict[str, int] = field(default_factory=dict)
    """In all, by what ended the one before: `killed`, `failed` or `asked`."""
    _places: list[_Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = [_Place() for _ in range(self.size)]

    @property
    def numbers(self) -> int:
        """How many numbers there are."""
        return 2 * self.size + self.spare

    @property
    def leader(self) -> Member | None:
        """The one that leads."""
        able = [member for member in self.members.values() if member.phase != "leaving"]
        return min(able, key=lambda each: (each.ready_at, each.started_at, each.number), default=None)

    @property
    def hopeless(self) -> bool:
        """Whether every place is given up."""
        return all(place.given_up for place in self._places)

    @property
    def all_ready(self) -> bool:
        """Whether nobody is awaited."""
        return all(place.given_up or _serves(place.member) for place in self._places)

    def restarts_of(self, place: int) -> int:
        """How often the worker of a place has been replaced."""
        return self._places[place].restarts

    def due(self, now: float) -> list[int]:
        """The places that want a worker now."""
        free = self.numbers - len(self.members)
        wanted = [
            number
            for number, place in enumerate(self._places)
            if place.member is None and not place.given_up and place.due <= now
        ]
        return wanted[: max(0, free)]

    def next_due(self) -> float:
        """When a place will want one; infinity for never."""
        return min((each.due for each in self._places if each.member is None and not each.given_up), default=math.inf)

    def next_stuck(self) -> float:
        """When a start will have taken too long; infinity for never."""
        starting = (each.started_at + _STARTING_S for each in self.members.values() if each.phase == "starting")
        return min(starting, default=math.inf)

    def stuck(self, now: float) -> list[Member]:
        """Those who should have been ready by now."""
        starting = (each for each in self.members.values() if each.phase == "starting")
        return [each for each in starting if now >= each.started_at + _STARTING_S]

    def unserved(self) -> list[int]:
        """The places at which nobody serves."""
        return [number for number, place in enumerate(self._places) if not _serves(place.member)]

    def free_number(self) -> int:
        """A number that nobody has."""
        return next(number for number in range(self.numbers) if number not in self.members)

    def started(self, place: int, number: int, pid: int, now: float) -> Member:
        """A worker was started at a place."""
        member = self.members[number] = Member(number, place, pid, now)
        self._places[place].member = member
        return member

    def not_started(self, place: int, now: float, roll: float) -> float:
        """There are no means to start a worker at a place; seconds until it is tried again. A place is not given up
        for that, since the next worker may be as good as any."""
        waiting = self._places[place]
        waiting.in_a_row = min(waiting.in_a_row + 1, _MOST_IN_A_ROW - 1)
        pause = _pause(waiting.in_a_row, roll)
        waiting.due = now + pause
        return pause

    def ready(self, number: int, now: float) -> None:
        """A worker serves."""
        member = self.members[number]
        if member.phase == "starting":
            member.phase, member.ready_at = "serving", now

    def leaves(self, number: int, now: float) -> None:
        """A worker was asked to go, or goes by itself: its place is free."""
        member = self.members[number]
        place = self._places[member.place]
        if place.member is member:
            place.member, place.due = None, now
            self._count(place, "asked")
        member.phase = "leaving"

    def ended(self, number: int, *, killed: bool, now: float, roll: float) -> Ended:
        """A worker is gone."""
        member = self.members.pop(number)
        place = self._places[member.place]
        if place.member is not member:
            return Ended(member, None)
        place.member = None
        if now - member.ready_at >= _LONG_ENOUGH_S:
            place.in_a_row, pause = 0, 0.0
        else:
            place.in_a_row += 1
            pause = _pause(place.in_a_row, roll)
        if place.in_a_row >= _MOST_IN_A_ROW:
            place.given_up = True
            return Ended(member, None, given_up=True)
        place.due = now + pause
        self._count(place, "killed" if killed else "failed")
        return Ended(member, pause)

    def _count(self, place: _Place, cause: str) -> None:
        place.restarts += 1
        self.restarts[cause] = self.restarts.get(cause, 0) + 1


def _pause(in_a_row: int, roll: float) -> float:
    return roll * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (in_a_row - 1))


def _serves(member: Member | None) -> bool:
    return member is not None and member.phase == "serving"
