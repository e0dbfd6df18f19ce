"""The tables, from rounds that were given."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cost.figures import Round
from benchmarks.cost.report import Result, details, summary
from benchmarks.cost.scenarios import SCENARIOS


def result(rounds: dict[str, Sequence[Round]], name: str = "json", workers: int = 1) -> Result:
    return Result(name, SCENARIOS[name], workers, rounds, {})


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def row(rounds: dict[str, Sequence[Round]], name: str = "json") -> list[str]:
    """The last row of the table, without its names."""
    return cells(list(summary([result(rounds, name)], list(rounds)))[-1])[2:]


def test_the_first_is_told_as_it_is_and_the_others_as_multiples_of_it() -> None:
    rounds = {
        "nginx": [{"cpu": 20.0}, {"cpu": 10.0}, {"cpu": 30.0}],
        "holdfast": [{"cpu": 40.0}, {"cpu": 25.0}, {"cpu": 45.0}],
    }

    assert ["20.0 us", "2.00 (1.50..2.50)"] == row(rounds)


def test_one_round_has_no_spread() -> None:
    assert ["20.0 us", "2.00"] == row({"nginx": [{"cpu": 20.0}], "holdfast": [{"cpu": 40.0}]})


def test_a_row_says_that_there_were_errors() -> None:
    rounds = {"nginx": [{"cpu": 20.0, "errors": 2}], "holdfast": [{"cpu": 40.0, "errors": 0}]}

    assert ["20.0 us, **2 errors**", "2.00"] == row(rounds)


def test_a_row_says_that_requests_did_not_fail_over() -> None:
    rounds = {"nginx": [{"cpu": 20.0, "failed_over": 1.0}], "holdfast": [{"cpu": 40.0, "failed_over": 0.25}]}

    assert ["20.0 us", "2.00, **only 25% failed over**"] == row(rounds, "503")


def test_where_the_first_was_not_measured_the_others_are_told_as_they_are() -> None:
    rounds: dict[str, Sequence[Round]] = {"nginx": [], "holdfast": [{"cpu": 40.0}]}

    assert ["-", "40.0 us"] == row(rounds)


def test_a_row_says_how_many_rounds_had_a_ratio() -> None:
    rounds = {"nginx": [{"added_p50": 10.0}, {"added_p50": -1.0}], "holdfast": [{"added_p50": 20.0}] * 2}
    table = list(summary([result(rounds, "one")], list(rounds)))

    assert "2.00 (2.00..2.00, 1 of 2 rounds)" == cells(next(line for line in table if "p50" in line))[-1]


def test_asking_directly_is_no_column() -> None:
    header = next(iter(summary([], ["direct", "nginx", "holdfast"])))

    assert ["scenario", "figure", "nginx", "holdfast, x nginx"] == cells(header)


def test_one_proxy_alone_is_a_table_too() -> None:
    rounds = {"holdfast": [{"cpu": 40.0}]}

    assert [3, 3, 3] == [len(cells(line)) for line in summary([result(rounds)], list(rounds))]


def test_workers_are_told_in_the_title() -> None:
    assert "JSON, 1 KB answers, 64 connections, 2 workers" == result({}, workers=2).title


def test_details_say_who_waited_for_the_clients() -> None:
    rounds = {"nginx": [{"cpu": 20.0, "busy": 0.4, "ends_busy": 0.97}], "holdfast": [{"busy": 0.99, "ends_busy": 0.2}]}

    assert "- paced by the ends, not by itself: nginx" in list(details(result(rounds)))


def test_details_say_why_somebody_was_left_out() -> None:
    left_out = Result("json", SCENARIOS["json"], 2, {}, {"portkey": "portkey has no worker processes"})

    assert "- portkey left out: portkey has no worker processes" in list(details(left_out))


def test_every_row_of_memory_has_as_many_cells_as_its_head() -> None:
    rounds = {"nginx": [{"pss": 1.0, "rss": 2.0, "base_pss": 7.0, "started": 0.1, "errors": 0, "steal": 0.0}]}
    table = [line for line in details(result(rounds, "idle")) if line.startswith("|")]

    assert [8, 8, 8] == [len(cells(line)) for line in table]


def test_every_row_of_costs_has_as_many_cells_as_its_head() -> None:
    table = [line for line in details(result({"nginx": [{"cpu": 1.0}]})) if line.startswith("|")]

    assert [13, 13, 13] == [len(cells(line)) for line in table]
