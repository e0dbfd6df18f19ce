import json
from pathlib import Path

from tests.cli.conftest import ROUTES, one_line

SKIPPED = ROUTES.replace("  backup: {kind: simulated}", "  backup: {kind: openai, api_key: '${OPENAI_API_KEY}'}")


def test_every_route_with_its_chain(cli, routes: Path) -> None:
    routes.write_text(ROUTES + "  long-name: {chain: [backup/x]}\n")
    result = cli("routes")
    assert "default    primary/m > backup/m\nlong-name  backup/x\n" == result.stdout
    assert ("", 0) == (result.stderr, result.exit_code)


def test_what_is_skipped_stands_in_parentheses(cli, routes: Path) -> None:
    routes.write_text(SKIPPED)
    result = cli("routes")
    assert "default  primary/m > (backup/m)\n" == result.stdout
    hints = ["In parentheses: skipped. Why: holdfast explain --model ROUTE"]
    assert [*hints, "routes.yaml: 1 warning; see holdfast check routes.yaml"] == result.stderr.splitlines()


def test_as_json(cli, routes: Path) -> None:
    routes.write_text(SKIPPED)
    chain = [
        {"deployment": "primary/m", "skipped": None},
        {"deployment": "backup/m", "skipped": "OPENAI_API_KEY is not set"},
    ]
    result = cli("routes", "--json")
    assert [{"route": "default", "deadline_s": 120.0, "chain": chain}] == json.loads(result.stdout)
    assert "" == result.stderr


def test_no_file(cli) -> None:
    cure = "`holdfast init` writes one that works"
    assert f"holdfast: routes.yaml: there is no such file; {cure}" == one_line(cli("routes"), 1)


def test_a_broken_file_shows_its_errors_and_ends_in_one_line(cli, routes: Path) -> None:
    routes.write_text("version: 1\nupstreams: [\n")
    result = cli("routes", "--json")
    assert ("", 1) == (result.stdout, result.exit_code)
    assert "holdfast: routes.yaml cannot be used: 1 error" == result.stderr.splitlines()[-1]
    assert result.stderr.startswith("routes.yaml:3:1: error: ")
