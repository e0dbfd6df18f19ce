import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROUTES

UNSET = ROUTES.replace("  backup: {kind: simulated}", "  backup: {kind: openai, api_key: '${OPENAI_API_KEY}'}")
BROKEN = ROUTES.replace("kind: simulated", "kind: simulatde")


def test_a_good_file(cli, routes: Path) -> None:
    result = cli("check")
    assert ("routes.yaml: no errors, no warnings\n", 0) == (result.output, result.exit_code)


def test_no_file(cli) -> None:
    result = cli("check", "none.yaml")
    assert 1 == result.exit_code
    assert "none.yaml: error: there is no such file; `holdfast init` writes one that works" in result.stdout


def test_a_folder(cli, folder: Path) -> None:
    result = cli("check", str(folder))
    assert (1, True) == (result.exit_code, "this is a folder" in result.stdout)


def test_every_error_at_once_with_its_place(cli, routes: Path) -> None:
    routes.write_text(BROKEN)
    result = cli("check")
    assert 1 == result.exit_code
    assert "routes.yaml:4:19: error: " in result.stdout
    assert "routes.yaml:5:18: error: " in result.stdout
    assert result.stdout.endswith("routes.yaml: 2 errors, no warnings\n")


def test_warnings_fail_only_when_strict(cli, routes: Path) -> None:
    routes.write_text(UNSET)
    assert "1 warning" in cli("check").stdout
    assert [0, 1] == [cli("check").exit_code, cli("check", "--strict").exit_code]
    assert 0 == cli("check", "--strict", OPENAI_API_KEY="k").exit_code


def test_the_file_comes_from_argument_option_or_environment(cli, folder: Path, routes: Path) -> None:
    other = folder / "other.yaml"
    other.write_text(UNSET)
    asked = [cli("check", "other.yaml"), cli("check", "-c", "other.yaml"), cli("check", HOLDFAST_CONFIG="other.yaml")]
    assert ["other.yaml: no errors, 1 warning"] * 3 == [result.stdout.splitlines()[-1] for result in asked]


def test_json_is_one_list(cli, routes: Path) -> None:
    assert [] == json.loads(cli("check", "--json").stdout)
    routes.write_text(BROKEN)
    findings = json.loads(cli("check", "--json").stdout)
    assert [("error", 4), ("error", 5)] == [(finding["severity"], finding["line"]) for finding in findings]
    assert findings == json.loads(cli("check", "--format", "json").stdout)


def test_github(cli, routes: Path) -> None:
    routes.write_text(BROKEN)
    lines = cli("check", "--format", "github").stdout.splitlines()
    assert ["::error file=routes.yaml,line=4", "::error file=routes.yaml,line=5"] == [line[:31] for line in lines]


LIVE = """\
version: 1
upstreams:
  primary: {{kind: openai, base_url: "{primary}", api_key: k}}
  gone: {{kind: llamacpp, base_url: "http://127.0.0.1:{port}"}}
  inside: {{kind: simulated}}
routes:
  default: {{chain: [primary/m{chain}]}}
"""
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}
GOOD = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}).encode()


def test_live_asks_each_deployment_once(cli, routes: Path, answering) -> None:
    routes.write_text(LIVE.format(primary=f"{answering(GOOD).url}/v1", port=1, chain=", inside/m"))
    result = cli("check", "--live")
    assert 0 == result.exit_code, result.output
    assert result.stdout.splitlines()[-1].startswith("ok    primary/m  ")


def test_live_fails_when_one_does_not_answer(cli, routes: Path, answering) -> None:
    routes.write_text(LIVE.format(primary=f"{answering(GOOD).url}/v1", port=1, chain=", gone/m"))
    result = cli("check", "--live")
    assert 1 == result.exit_code
    assert "\nFAIL  gone/m  " in result.stdout
    github = cli("check", "--live", "--format", "github").stdout
    assert "\n::error::gone/m: connect_refused" in github


def test_live_as_json_is_one_document(cli, routes: Path, answering) -> None:
    routes.write_text(LIVE.format(primary=f"{answering(GOOD).url}/v1", port=1, chain=", gone/m"))
    shown = json.loads(cli("check", "--live", "--json").stdout)
    assert {"findings", "live"} == set(shown)
    assert {"primary/m": True, "gone/m": False} == {each["deployment"]: each["good"] for each in shown["live"]}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_live_with_nobody_to_ask(cli, routes: Path, words: list[str]) -> None:
    result = cli("check", "--live", *words)
    assert 0 == result.exit_code
    assert ("[]" if words else "there is nobody to ask") in result.stdout


def test_live_asks_with_every_key_of_a_pool(cli, routes: Path, running) -> None:
    upstream = running.fleet.simulator.upstream("primary")
    pool = f"{{kind: openai, base_url: '{upstream.base_url}', api_keys: [key-number-one, key-number-two]}}"
    routes.write_text(f"version: 1\nupstreams: {{pool: {pool}}}\nroutes: {{chat: {{chain: [pool/m]}}}}\n")
    result = cli("check", "--live", "--json")

    names = [each["deployment"] for each in json.loads(result.stdout)["live"]]
    assert ["pool/m (key 1 of 2)", "pool/m (key 2 of 2)"] == names
    keys = sorted(request.headers["Authorization"] for request in upstream.requests)
    assert ["Bearer key-number-one", "Bearer key-number-two"] == keys
