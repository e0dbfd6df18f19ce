import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROUTES, one_line

THREE = ROUTES.replace(
    "routes:", "  keyed: {kind: openai, api_key: '${OPENAI_API_KEY}'}\nroutes:\n  'gpt-*': {chain: ['primary/*']}"
).replace("[primary/m, backup/m]", "[keyed/m, primary/m, backup/m]")


@pytest.fixture(autouse=True)
def three(routes: Path) -> None:
    routes.write_text(THREE)


def marks(cli, *down: str) -> tuple[list[str], int]:
    words = [word for name in down for word in ("--down", name)]
    result = cli("explain", "--model", "default", *words)
    return [line[:14].rstrip() for line in result.stdout.splitlines() if line.startswith(" ")], result.exit_code


def test_who_would_serve_in_the_order_of_the_chain(cli) -> None:
    assert (["  x keyed/m", " -> primary/m", "    backup/m"], 0) == marks(cli)
    text = cli("explain", "--model", "default").stdout
    assert "default: route default, answered within 120 s" == text.splitlines()[0]
    assert "  x keyed/m    OPENAI_API_KEY is not set" in text
    assert "If all fail, the client gets an error that says what was tried." == text.splitlines()[-1]


@pytest.mark.parametrize("down", ["primary", "primary/m"])
def test_with_one_down_the_next_one_serves(cli, down: str) -> None:
    assert (["  x keyed/m", "  x primary/m", " -> backup/m"], 0) == marks(cli, down)


def test_with_all_down_nobody_serves(cli) -> None:
    assert (["  x keyed/m", "  x primary/m", "  x backup/m"], 1) == marks(cli, "primary", "backup")
    text = cli("explain", "--model", "default", "--down", "primary", "--down", "backup").stdout
    assert text.splitlines()[-1].startswith("Nobody would serve: ")
    assert "roken stream" not in text


def test_as_json(cli) -> None:
    shown = json.loads(cli("explain", "--model", "default", "--json", "--down", "primary").stdout)
    assert ("default", 120.0) == (shown["route"], shown["deadline_s"])
    steps = [(step["deployment"], step["serves"], step["usable"]) for step in shown["steps"]]
    assert [("keyed/m", False, False), ("primary/m", False, False), ("backup/m", True, True)] == steps


def test_a_glob_is_explained_for_the_name_that_was_asked_for(cli) -> None:
    assert " -> primary/gpt-9  serves" in cli("explain", "--model", "gpt-9").stdout
    assert 1 == cli("explain", "--model", "gpt-9", "--down", "primary/gpt-9").exit_code


def test_an_unknown_model(cli) -> None:
    said = "holdfast: no route serves 'defualt'; did you mean 'default'?"
    assert said == one_line(cli("explain", "--model", "defualt"), 1)
    assert "holdfast: no route serves 'zzz'; see holdfast routes" == one_line(cli("explain", "--model", "zzz"), 1)


def test_an_unknown_upstream(cli) -> None:
    said = "holdfast explain: --down bckup: the chain has no such upstream; it has keyed, primary, backup"
    assert said == one_line(cli("explain", "--model", "default", "--down", "bckup"), 2)


def explained(cli, routes: Path, chain: str) -> str:
    routes.write_text(ROUTES.replace("{chain: [primary/m, backup/m]}", chain))
    return cli("explain", "--model", "default").stdout


def test_a_chain_of_one_has_nothing_to_panic_about(cli, routes: Path) -> None:
    assert "open breakers" not in explained(cli, routes, "{chain: [primary/m]}")
    text = explained(cli, routes, "{chain: [primary/m, backup/m]}")
    assert "With 50% of the chain out at once and nothing else left, open breakers are tried early.\n" in text
    assert "open breakers" not in explained(cli, routes, "{panic: never, chain: [primary/m, backup/m]}")


def test_a_weighted_route(cli, routes: Path) -> None:
    chain = "{strategy: weighted, chain: [{to: primary/m, weight: 3}, backup/m, {to: backup/x, weight: 0}]}"
    text = explained(cli, routes, chain)
    assert " -> primary/m  serves first for 75% of requests; up to 3 tries" in text
    assert " -> backup/m   serves first for 25% of requests; " in text
    assert "    backup/x   only stands in for others; " in text
    assert "drawn by weight" in text
    half = cli("explain", "--model", "default", "--down", "primary").stdout
    assert " -> backup/m   serves first for 100% of requests; " in half


def test_a_parallel_route(cli, routes: Path) -> None:
    text = explained(cli, routes, "{strategy: parallel, chain: [primary/m, backup/m]}")
    assert 2 == text.count("  asked at once with the others; up to 3 tries")
    assert "the first good answer counts" in text


def test_a_hedge(cli, routes: Path) -> None:
    text = explained(cli, routes, "{hedge: {after: 800ms, ratio: 10%}, chain: [primary/m, backup/m]}")
    assert "When the first is silent for 800 ms, another is asked, too, on at most 10% of requests" in text
    text = explained(cli, routes, "{hedge: {after: p95}, chain: [primary/m, backup/m]}")
    assert "silent for longer than it usually is (95% of its answers come sooner), another is asked" in text


def test_a_last_resort(cli, routes: Path) -> None:
    text = explained(cli, routes, "{last_resort: {text: Later., cached: 1h}, chain: [primary/m, backup/m]}")
    same = "an answer to the same request is given again, if there is one of the last 60 min"
    assert text.endswith(f"If all fail, {same}, else the route's own text is the answer.\n")


def test_a_broken_stream(cli, routes: Path) -> None:
    text = explained(cli, routes, "{resume: {modes: [instruct, prefill]}, chain: [primary/m, backup/m]}")
    assert "A broken stream is continued on the next deployment (instruct or prefill)." == text.splitlines()[-2]
    text = explained(cli, routes, "{resume: off, chain: [primary/m, backup/m]}")
    assert "A broken stream ends with an error (resume is off)." == text.splitlines()[-2]
    text = explained(cli, routes, "{chain: [primary/m]}")
    assert "A broken stream ends with an error (there is no other deployment)." == text.splitlines()[-2]
    shown = json.loads(cli("explain", "--model", "default", "--json").stdout)
    assert "a broken stream ends with an error (there is no other deployment)" == shown["if_it_breaks"]


def test_adaptive_breakers(cli, routes: Path) -> None:
    text = explained(cli, routes, "{foresight: {adaptive: true}, chain: [primary/m, backup/m]}")
    assert "adapts to its history and the hour: primary/m, backup/m.\n" in text


def test_all_of_it_as_json(cli) -> None:
    shown = json.loads(cli("explain", "--model", "default", "--json").stdout)
    assert ("sequential", None, 0.5, None, []) == tuple(
        shown[name] for name in ("strategy", "hedge", "panic", "last_resort", "adaptive")
    )
