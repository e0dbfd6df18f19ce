"""The list of all workers, as each knows it."""

from proxy.workers.roster import has_lost, leader_of, serving, with_ages


def worker(number: int, pid: int, *, leads: bool = False, phase: str = "serving") -> dict[str, object]:
    return {"worker": number, "pid": pid, "phase": phase, "leads": leads, "started_at": 100.0, "restarts": 0}


def test_who_leads_and_who_serves() -> None:
    roster = [worker(0, 10, phase="leaving"), worker(1, 11, leads=True)]

    assert (1, None) == (leader_of(roster), leader_of(roster[:1]))
    assert 1 == serving(roster)
    assert [1.5, 1.5] == [each["age_s"] for each in with_ages(roster, 101.5)]


def test_somebody_is_gone_although_there_are_as_many_as_before() -> None:
    """One has died while another one was started of which nothing had been told."""
    before = [worker(0, 10), worker(1, 11)]

    assert has_lost(before, [worker(0, 10), worker(2, 12)])
    assert has_lost(before, [worker(0, 10), worker(1, 12)])
    assert not has_lost(before, [*before, worker(2, 12)])
