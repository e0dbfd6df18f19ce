"""What is asked of whom."""

from __future__ import annotations

from dataclasses import fields

import pytest

from benchmarks.cost.client import Job
from benchmarks.cost.peers import OTHERS
from benchmarks.cost.peers.peer import WAYS
from benchmarks.cost.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_a_job_that_clients_know(name: str) -> None:
    assert set(SCENARIOS[name].job) <= {field.name for field in fields(Job)}
    assert SCENARIOS[name].way in WAYS


@pytest.mark.parametrize("name", OTHERS)
def test_who_is_left_out_is_left_out_of_something(name: str) -> None:
    assert set(OTHERS[name].cannot) <= set(SCENARIOS)
