"""`breaker`, and its kin that change one deployment: drain, disable, enable, weight, probe."""

import json

import pytest

from tests.cli.conftest import free_port, one_line

CHANGES = [
    ["breaker", "open"], ["breaker", "close"], ["breaker", "reset"], ["drain"], ["disable"], ["enable"], ["probe"],
]  # fmt: skip


@pytest.mark.parametrize("name", ["primary/m", "primary", "pri", "primary/"])
def test_a_name_may_be_short(cli, running, name: str) -> None:
    result = cli("breaker", "open", name, "--for", "10m", "--reason", "new disk", "--url", running.fleet.url)
    assert 0 == result.exit_code, result.output
    assert (
        "primary/m  breaker opened by an operator for 10 min (new disk)\n"
        "primary/m  breaker opened for 10 min: by an operator\n"
        "now unavailable: breaker open for 600 s\n"
    ) == result.stdout


def test_open_and_close_and_reset(cli, running) -> None:
    url = running.fleet.url
    cli("breaker", "open", "primary", "--url", url)
    assert cli("breaker", "close", "primary", "--url", url).stdout.endswith("now available\n")
    cli("breaker", "open", "primary", "--url", url)
    assert cli("breaker", "reset", "primary", "--url", url).stdout.endswith("now available\n")
    cli("disable", "backup", "--url", url)
    text = cli("breaker", "reset", "--all", "--reason", "all well", "--url", url).stdout
    assert "all  reset by an operator: breakers, rests, orders (all well)\n" == text
    assert "● backup/m  available" in cli("status", "backup", "--url", url).stdout


@pytest.mark.parametrize(("command", "word"), [("drain", "drained"), ("disable", "disabled")])
def test_orders(cli, running, command: str, word: str) -> None:
    url = running.fleet.url
    result = cli(command, "primary", "--for", "1h", "--url", url)
    assert (0, True) == (result.exit_code, result.stdout.startswith(f"primary/m  {word} by an operator"))
    assert result.stdout.endswith("now unavailable: switched off by an operator\n")
    assert cli("enable", "primary", "--url", url).stdout.endswith("primary/m  enabled by an operator\nnow available\n")


def test_a_weight_that_would_change_nothing_is_refused(cli, running) -> None:
    said = "holdfast: No weighted route names primary/m, so a weight would change nothing"
    assert said == one_line(cli("weight", "primary", "2", "--url", running.fleet.url), 1)


def test_a_weight_and_its_end(cli, answering) -> None:
    event = {"event": "Controlled", "deployment": "u/m", "action": "weight", "reason": None, "duration": None}
    reply = {"deployment": {"deployment": "u/m", "status": "available", "reason": None}, "changed": [event]}
    # One answer for both requests: the list of deployments, and the change.
    body = json.dumps({**reply, "deployments": [reply["deployment"]]}).encode()
    for value in ("0.5", "default"):
        result = cli("weight", "u", value, "--url", answering(body).url)
        assert "u/m  weight changed by an operator\nnow available\n" == result.stdout


def test_a_probe(cli, running) -> None:
    url = running.fleet.url
    result = cli("probe", "primary", "--url", url)
    assert (0, True) == (result.exit_code, result.stdout.startswith("primary/m  answered well in "))
    running.inject("primary", "503")
    result = cli("probe", "primary", "--url", url)
    assert (1, True) == (result.exit_code, result.stdout.startswith("primary/m  http_503 after "))
    shown = cli("probe", "primary", "--json", "--url", url)
    assert (1, "http_503") == (shown.exit_code, json.loads(shown.stdout)["outcome"])
    cli("disable", "primary", "--url", url)
    said = "holdfast: primary/m may not be asked now: switched off by an operator"
    assert said == one_line(cli("probe", "primary", "--url", url), 1)


def test_as_json(cli, running) -> None:
    shown = json.loads(cli("drain", "primary", "--json", "--url", running.fleet.url).stdout)
    assert ("drain", "drain") == (shown["deployment"]["order"], shown["changed"][0]["action"])
    shown = json.loads(cli("breaker", "reset", "--all", "--json", "--url", running.fleet.url).stdout)
    assert {"primary/m", "backup/m"} == {each["deployment"] for each in shown["deployments"]}


@pytest.mark.parametrize("words", CHANGES)
def test_a_name_that_nobody_knows(cli, running, words: list[str]) -> None:
    url = running.fleet.url
    said = "holdfast: no deployment is named 'primry/m'; did you mean 'primary/m'?"
    assert said == one_line(cli(*words, "primry/m", "--url", url), 1)
    said = "holdfast: no deployment is named 'zzz'; there are primary/m, backup/m"
    assert said == one_line(cli(*words, "zzz", "--url", url), 1)


def test_a_name_that_can_mean_several_lists_them(cli, answering) -> None:
    names = ["u/a", "u/b", "up/c", "other/d"]
    body = json.dumps({"deployments": [{"deployment": name} for name in names]}).encode()
    url = answering(body).url
    assert "holdfast: u can mean u/a, u/b" == one_line(cli("drain", "u", "--url", url), 1)
    assert "holdfast: u/ can mean u/a, u/b" == one_line(cli("drain", "u/", "--url", url), 1)
    many = json.dumps({"deployments": [{"deployment": f"u/{number}"} for number in range(50)]}).encode()
    assert one_line(cli("drain", "u", "--url", answering(many).url), 1).endswith("u/11, and 38 more")


@pytest.mark.parametrize("words", CHANGES)
def test_nobody_listens(cli, words: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = f"holdfast: nobody listens at {url}; start it with: holdfast serve, or say where it is with --url"
    assert said == one_line(cli(*words, "x", "--url", url), 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["breaker", "open"], "which deployment? give a NAME; see"),
        (["breaker", "reset"], "which deployment? give a NAME, or --all; see"),
        (["breaker", "open", "--all"], "--all is for reset, and without a NAME"),
        (["breaker", "reset", "x", "--all"], "--all is for reset, and without a NAME"),
        (["breaker", "reset", "x", "--for", "1m"], "--for means nothing to reset"),
        (["breaker", "shut", "x"], "'shut' is not one of"),
        (["drain", "x", "--for", "ten"], "is not a duration; write a number and a unit"),
        (["drain", "x", "--for", "0s"], "it must be above 0"),
        (["drain", "x", "--for", "31d"], "is longer than 30 days"),
        (["enable", "x", "--for", "1m"], "No such option"),
        (["weight", "x", "heavy"], "'heavy' is no weight"),
        (["weight", "x", "nan"], "'nan' is no weight"),
        (["weight", "x", "inf"], "'inf' is no weight"),
        (["weight", "x", "default", "--for", "1m"], "--for means nothing to `default`"),
        (["weight", "x"], "Missing argument 'VALUE'"),
    ],
)
def test_wrong_usage(cli, words: list[str], said: str) -> None:
    assert said.casefold() in one_line(cli(*words), 2).casefold()


def test_a_key_that_is_wanted(cli, answering) -> None:
    body = b'{"error": {"message": "Send the key."}}'
    said = "holdfast: Send the key; here: --key or HOLDFAST_ADMIN_KEY"
    assert said == one_line(cli("drain", "x", "--url", answering(body, status=401).url), 1)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"deployments": 1}', b'{"deployments": [1]}'])
def test_somebody_else_listens(cli, answering, body: bytes) -> None:
    assert "does not answer as Holdfast does" in one_line(cli("drain", "x", "--url", answering(body).url), 1)
