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
    return [line[:14].rstrip() for line in result.stdout.splitlines()[1:-1]], result.exit_code


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
