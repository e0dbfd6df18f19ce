import json
import re

import pytest
from click.testing import CliRunner

from proxy.cli.main import cli as holdfast
from proxy.cli.status_one import print_one
from proxy.cli.status_table import breaker_words
from tests.cli.conftest import free_port, one_line

BREAKER = {
    "state": "closed", "since_change_s": 3.0, "consecutive_failures": 0, "error_rate": 0.03, "opens_at_rate": 0.6,
    "failures_left": 5, "distance": 1.0, "open_for_s": None, "forced": False, "rejected": 0, "share": 1.0,
    "routes": ["chat", "other"],
}  # fmt: skip
STEP = {
    "deployment": "primary/m", "status": "available", "reason": None, "usable_in_s": 0.0, "breakers": [BREAKER],
    "rest_reason": None, "rest_remaining_s": None, "keys_resting": 0, "order": None, "order_remaining_s": None,
    "weight": None, "ejected": None, "in_flight": 3, "limit": 100, "headroom": None, "attempts": 50, "succeeded": 49,
    "failed": 1, "consecutive_failures": 0, "last_failure": "http_503", "since_failure_s": 200.0,
    "since_success_s": 2.0, "success_share": 0.98, "first_content_p50_s": 0.31, "first_content_p95_s": 1.2,
    "total_p50_s": 2.0, "total_p95_s": 7.5, "step_weight": 3.0,
}  # fmt: skip
SKIPPED = {"deployment": "backup/m", "status": "skipped", "reason": "OPENAI_API_KEY is not set"}


def route(*steps: dict, **members: object) -> dict:
    made = {"route": "chat", "strategy": "sequential", "status": "ok", "capacity": 1.0, "deadline_s": 60.0}
    return {**made, "steps": list(steps), **members}


def status(*routes: dict, **members: object) -> bytes:
    made = {
        "version": "1.2.3", "started_at": 1.0, "uptime_s": 4000.0, "draining": False, "in_flight": 4, "limit": 512,
        "retry_budget_remaining": 1.0, "upstream_budgets_remaining": {"primary": 1.0, "backup": 0.4},
        "state": {"path": "/x/holdfast.db", "trouble": None}, "last_event": 7, "simulator": None, "upstreams": {},
    }  # fmt: skip
    return json.dumps({**made, "routes": list(routes), **members}).encode()


def shown(cli, answering, body: bytes, *words: str, code: int = 0, **environ: str) -> list[str]:
    result = cli("status", "--url", answering(body).url, *words, **environ)
    assert code == result.exit_code, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


def test_the_table(cli, answering) -> None:
    down = {**STEP, "deployment": "backup/a-longer-name", "status": "unavailable", "reason": "breaker open for 42 s"}
    down["breakers"] = [BREAKER, {**BREAKER, "state": "open", "open_for_s": 42.0}]
    assert [
        "holdfast 1.2.3, up 67 min, 4 of 512 in flight, retry budget 100% left (backup 40%), state in /x/holdfast.db",
        "    deployment            status       breaker    good  p50 / p95      in flight  why",
        "◐ chat degraded, 50% of its capacity",
        "  ● primary/m             available    closed     98%   2.0 s / 7.5 s  3 / 100",
        "  ○ backup/a-longer-name  unavailable  open 42 s  98%   2.0 s / 7.5 s  3 / 100    breaker open for 42 s",
        "  · backup/m              skipped                                                 OPENAI_API_KEY is not set",
    ] == shown(cli, answering, status(route(STEP, down, SKIPPED, status="degraded", capacity=0.5)))


def test_several_workers(cli, answering) -> None:
    one = {"worker": 0, "pid": 71, "phase": "serving", "leads": True, "age_s": 4000.0, "restarts": 0}
    two = {"worker": 1, "pid": 75, "phase": "serving", "leads": False, "age_s": 2.0, "restarts": 3}
    lines = shown(cli, answering, status(route(STEP), workers=[one, two]))

    assert "    workers: 71 leads, up 67 min; 75, up 2.0 s (replaced 3x)" == lines[1]


def test_a_route_that_is_unavailable_is_a_finding(cli, answering) -> None:
    body = status(route(SKIPPED, status="unavailable", capacity=0.0), route(STEP, route="other"))
    assert "○ chat unavailable, 0% of its capacity" in shown(cli, answering, body, code=1)
    assert 1 == cli("status", "--json", "--url", answering(body).url).exit_code


def test_weights_are_shown_where_they_count(cli, answering) -> None:
    by_hand = {**STEP, "weight": 0.5}
    lines = shown(cli, answering, status(route(STEP, by_hand, strategy="weighted")))
    assert "● chat, weighted" == lines[2]
    assert ["3", "0.5, by hand"] == [re.split(r"\s{2,}", line.strip())[2] for line in lines[3:]]


def test_a_draining_proxy_without_a_state_file(cli, answering) -> None:
    first = shown(cli, answering, status(route(STEP), draining=True, state={"path": None, "trouble": None}))[0]
    assert "up 67 min, draining, 4 of 512 in flight" in first
    assert first.endswith(", no state file")


def test_a_configuration_that_was_refused(cli, answering) -> None:
    last = {"outcome": "refused", "message": "routes.yaml:3:1: unknown key\x1b[2J"}
    first = shown(cli, answering, status(route(STEP), last_reload=last))[0]
    assert first.endswith(", configuration NOT taken: routes.yaml:3:1: unknown key\\x1b[2J")
    assert "NOT" not in shown(cli, answering, status(route(STEP), last_reload={"outcome": "ok", "message": None}))[0]


def test_state_that_is_not_kept(cli, answering) -> None:
    state = {"path": "/x/holdfast.db", "trouble": "disk is full\x1b[2J"}
    first = shown(cli, answering, status(route(STEP), state=state))[0]
    assert first.endswith(", state NOT kept: disk is full\\x1b[2J")
    result = CliRunner().invoke(
        holdfast, ["status", "--url", answering(status(route(STEP), state=state)).url], color=True
    )
    assert "\x1b[31mstate NOT kept: " in result.stdout


def test_each_route_shows_its_own_breaker(cli, answering) -> None:
    strict = {**BREAKER, "state": "open", "open_for_s": 42.0, "routes": ["chat"]}
    step = {**STEP, "breakers": [strict, {**BREAKER, "routes": ["other"]}]}
    lines = shown(cli, answering, status(route(step), route(step, route="other")))
    assert ["open 42 s", "closed"] == [re.split(r"\s{2,}", lines[number].strip())[2] for number in (3, 5)]


@pytest.mark.parametrize("columns", [40, 60, 72, 80, 100, 140])
def test_it_fits_into_the_terminal(cli, answering, columns: int) -> None:
    resting = {**STEP, "status": "unavailable", "reason": "rests for 300 s because of " + "many words " * 20}
    lines = shown(cli, answering, status(route(STEP, resting)), COLUMNS=str(columns))[1:]
    assert max(map(len, lines)) <= max(columns, 40)
    assert any("rests for 300 s" in line for line in lines)
    assert ("p50 / p95" in lines[0]) == (columns >= 60)


def test_a_terminal_without_the_marks(answering) -> None:
    body = status(route(STEP, {**STEP, "status": "degraded"}, {**STEP, "status": "unavailable"}, SKIPPED))
    result = CliRunner(charset="ascii").invoke(holdfast, ["status", "--url", answering(body).url])
    assert ["+", "+", "~", "x", "-"] == [line.split()[0] for line in result.stdout.splitlines()[2:]]
    assert result.stdout.isascii()


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}])
def test_no_colours_where_there_is_no_terminal(cli, answering, environ: dict[str, str]) -> None:
    assert not any("\x1b" in line for line in shown(cli, answering, status(route(STEP)), **environ))


def test_names_cannot_move_the_cursor(cli, answering) -> None:
    nasty = {**STEP, "deployment": "primary/\x1b[2J\n" + "x" * 250, "reason": "\x1b]0;x\x07"}
    lines = shown(cli, answering, status(route(nasty, route="\x1b[1m")))
    assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))
    assert 4 == len(lines)


def test_breakers_in_a_few_words() -> None:
    assert "closed" == breaker_words([])
    assert "half-open" == breaker_words([BREAKER, {**BREAKER, "state": "half_open"}])
    assert "open, by hand" == breaker_words([{**BREAKER, "state": "open", "forced": True}, BREAKER])
    opens = [{**BREAKER, "state": "open", "open_for_s": seconds} for seconds in (5.0, 600.0)]
    assert "open 10 min" == breaker_words(opens)


def test_over_a_real_proxy(cli, running) -> None:
    url = running.fleet.url
    result = cli("status", "--url", url)
    assert 0 == result.exit_code, result.output
    assert ["● chat", "  ● primary/m", "  ● backup/m", "● alone", "  ● primary/m"] == [
        line[:13].rstrip() for line in result.stdout.splitlines()[2:]
    ]
    assert 2 == len(json.loads(cli("status", "--json", "--url", url).stdout)["routes"])
    cli("breaker", "open", "primary", "--url", url)
    result = cli("status", "--url", url)
    assert (1, True) == (result.exit_code, "○ alone unavailable" in result.stdout)
    assert "open, by hand" in result.stdout
    assert 1 == cli("status", "primary", "--url", url).exit_code
    assert "● backup/m  available" in cli("status", "b", "--url", url).stdout


def test_everything_about_one(cli, running) -> None:
    url = running.fleet.url
    cli("ask", "hi", "--model", "chat", "--url", url)
    text = cli("status", "primary/m", "--url", url).stdout
    assert text.startswith("● primary/m  available\n  routes         chat (step 1), alone (step 1)\n")
    assert re.search(
        r"\n  breaker        closed for \d.*; opens after 5 more failures in a row, or at 60% errors", text
    )
    assert "100% of the last 100 were good; 1 good and 0 failed in all" in text
    assert re.search(r"\n  first content  half of streams within \d+ ms, 95% within \d+ ms\n", text)
    document = json.loads(cli("status", "primary/m", "--json", "--url", url).stdout)
    assert ("primary/m", 1) == (document["deployment"], document["succeeded"])


def test_one_that_routes_reach_by_different_rules(capsys: pytest.CaptureFixture[str]) -> None:
    open_ = {**BREAKER, "state": "open", "open_for_s": 42.0, "routes": ["strict"]}
    print_one({**STEP, "breakers": [BREAKER, open_, {**BREAKER, "routes": []}]}, json.loads(status(route(STEP))))
    said = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  breaker ")]
    assert "breaker        of chat, other: closed for 3.0 s; opens after " in said[0]
    assert "breaker        of strict: open for 3.0 s, 42 s left" == said[1]
    assert "breaker        of no route: closed" in said[2]


def test_what_is_known_of_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    model = {
        "loaded": True,
        "listed": True,
        "slots": 1,
        "gpu": 0.75,
        "facts": {"context": {"is": 32768, "from": "server"}, "max_input": {"is": 9000, "from": "file"}},
    }
    unlisted = {"loaded": False, "listed": False, "slots": None, "gpu": None, "facts": {}}
    unknown = {"loaded": None, "listed": None, "slots": None, "gpu": None, "facts": {}}
    whole = json.loads(status(route(STEP)))
    for each in (model, unlisted, unknown):
        print_one({**STEP, "model": each}, whole)
    said = capsys.readouterr().out.splitlines()
    lines = [line.strip() for line in said if line.split()[0] in {"window", "prompt", "loaded", "model"}]

    assert [
        "window         32,768 tokens, as its server says",
        "prompt         9,000 tokens, as routes.yaml says",
        "loaded         yes, 1 slot, 75% of it on graphics cards",
        "model          its server does not list it",
        "loaded         no",
    ] == lines


def test_everything_that_can_be_said_about_one(cli, running) -> None:
    url = running.fleet.url
    running.inject("primary", "401")
    cli("ask", "hi", "--model", "chat", "--url", url)
    cli("drain", "primary", "--for", "1h", "--url", url)
    cli("breaker", "open", "primary", "--url", url)
    result = cli("status", "primary", "--url", url)
    assert 1 == result.exit_code
    assert "open by an operator for" in result.stdout
    assert "until an operator closes it" in result.stdout
    assert "\n  order          drained by an operator, 60 min left\n" in result.stdout
    assert "\n  last failure   http_401, " in result.stdout or "\n  last failure   invalid_api_key, " in result.stdout


def test_nobody_listens(cli) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = f"holdfast: nobody listens at {url}; start it with: holdfast serve, or say where it is with --url"
    assert said == one_line(cli("status", "--url", url), 1)
    assert said == one_line(cli("status", "--json", "--url", url), 1)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"routes": 1}'])
def test_somebody_else_listens(cli, answering, body: bytes) -> None:
    said = "does not answer as Holdfast does; say where it is with --url"
    assert said in one_line(cli("status", "--url", answering(body).url), 1)
