import json
from pathlib import Path

import pytest

from proxy.cli.init import _PROVIDERS as PROVIDERS
from tests.cli.conftest import one_line

KEYS = {provider.variable: f"secret-{provider.upstream}" for provider in PROVIDERS}
TAGS = {
    "models": [
        {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
        {"name": "qwen3:8b", "details": {"family": "qwen3"}},
        {"name": "llama3.2:latest"},
    ]
}


def chains(cli, **environ: str) -> dict[str, list[str]]:
    listed = json.loads(cli("routes", "--json", **environ).stdout)
    return {route["route"]: [step["deployment"] for step in route["chain"]] for route in listed}


def test_with_nothing_found_it_runs_on_a_simulated_upstream(cli, folder: Path) -> None:
    result = cli("init")
    assert 0 == result.exit_code
    assert "found no key and no Ollama" in result.stderr
    assert result.stderr.endswith("wrote routes.yaml; next: holdfast check && holdfast serve\n")
    assert 0 == cli("check", "--strict").exit_code
    assert {"default": ["demo/demo"], "low-cost": ["demo/demo"]} == chains(cli)


@pytest.mark.parametrize("variables", [[variable] for variable in KEYS] + [list(KEYS)])
def test_what_it_writes_from_keys_has_no_findings_and_no_keys(cli, folder: Path, variables: list[str]) -> None:
    environ = {variable: KEYS[variable] for variable in variables}
    result = cli("init", **environ)
    assert [f"found {variable}" for variable in variables] == [
        line.partition(":")[0] for line in result.stderr.splitlines()[:-1]
    ]
    assert "secret" not in (folder / "routes.yaml").read_text()
    checked = cli("check", "--strict", **environ)
    assert ("routes.yaml: no errors, no warnings\n", 0) == (checked.output, checked.exit_code)
    assert len(variables) == len(chains(cli, **environ)["default"])


def test_models_of_ollama_that_can_chat(cli, folder: Path, answering) -> None:
    ollama = answering(json.dumps(TAGS).encode())
    environ = {"OLLAMA_HOST": ollama.url, "OPENAI_API_KEY": "k"}
    assert "found Ollama with qwen3:8b, llama3.2:latest: upstream local" in cli("init", **environ).stderr
    assert 0 == cli("check", "--strict", **environ).exit_code
    assert {
        "default": ["openai/gpt-5.1", "local/qwen3:8b"],
        "low-cost": ["openai/gpt-5-mini", "local/qwen3:8b"],
        "local-first": ["local/qwen3:8b", "openai/gpt-5.1"],
    } == chains(cli, **environ)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"models": [1]}'])
def test_what_is_no_ollama_is_none(cli, folder: Path, answering, body: bytes) -> None:
    assert "no Ollama" in cli("init", OLLAMA_HOST=answering(body).url).stderr


def test_a_file_of_its_own(cli, folder: Path) -> None:
    result = cli("init", "-o", "my.yaml")
    assert result.stderr.endswith("wrote my.yaml; next: holdfast check -c my.yaml && holdfast serve -c my.yaml\n")
    assert (folder / "my.yaml").exists()
    assert "check -c 'my own.yaml' && " in cli("init", "-o", "my own.yaml").stderr


def test_an_existing_file_stays_unless_forced(cli, routes: Path) -> None:
    before = routes.read_text()
    said = "holdfast: routes.yaml exists; replace it with --force, or write elsewhere with -o"
    assert said == one_line(cli("init"), 1)
    assert before == routes.read_text()
    assert 0 == cli("init", "--force").exit_code
    assert before != routes.read_text()


def test_printing_writes_nothing(cli, routes: Path) -> None:
    before = routes.read_text()
    result = cli("init", "--print")
    assert "routes:" in result.stdout
    assert before == routes.read_text()


def test_as_json(cli, folder: Path) -> None:
    shown = json.loads(cli("init", "--json", OPENAI_API_KEY="k").stdout)
    assert {"file": "routes.yaml", "keys": {"OPENAI_API_KEY": "openai"}} == {
        "file": shown["file"],
        "keys": shown["found"]["keys"],
    }
    assert (folder / "routes.yaml").read_text() == shown["text"]
    assert json.loads(cli("init", "--print", "--json").stdout)["file"] is None


def test_where_nothing_can_be_written(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "holdfast: cannot write none/r.yaml: No such file or directory; write elsewhere with -o, or see it with --print"
    )
    assert said == one_line(cli("init", "-o", "none/r.yaml"), 1)
    assert "is a folder; name the file to write with -o" in one_line(cli("init", "-o", str(folder)), 1)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, whom no folder refuses.
    monkeypatch.setattr(Path, "write_text", refused)
    assert "cannot write r.yaml: Permission denied" in one_line(cli("init", "-o", "r.yaml"), 1)
