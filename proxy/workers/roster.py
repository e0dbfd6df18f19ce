"""The list of all workers, as the supervisor tells it to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Roster = Sequence[Mapping[str, object]]
"""Of each worker: its number, pid, phase, whether it leads, when it was started, how often its place was refilled."""


def leader_of(roster: Roster) -> object:
    """The number of whoever leads."""
    return next((each["worker"] for each in roster if each["leads"]), None)


def serving(roster: Roster) -> int:
    """How many serve."""
    return sum(each["phase"] == "serving" for each in roster)


def has_lost(before: Roster, now: Roster) -> bool:
    """Whether somebody is gone, who may have left places."""
    return bool({each["pid"] for each in before} - {each["pid"] for each in now})


def with_ages(roster: Roster, now: float) -> list[Mapping[str, object]]:
    """The list as it is shown; `now` is the wall clock's."""
    return [{**each, "age_s": round(now - float(str(each["started_at"])), 1)} for each in roster]
