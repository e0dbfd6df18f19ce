import json
import re

import pytest

from tests.cli.conftest import free_port, one_line


def test_the_answer_is_printed_and_who_gave_it_is_told(cli, running) -> None:
    result = cli("ask", "hi", "--model", "chat", "--url", running.fleet.url)
    assert 0 == result.exit_code, result.output
    assert len(result.stdout.split()) > 3
    assert result.stdout.endswith("\n")
    assert "primary/m;o=ok" in result.stderr
    assert "(first choice)" in result.stderr


def test_a_failover_is_told(cli, running) -> None:
    running.inject("primary", "refuse")
    result = cli("ask", "hi", "--model", "chat", "--url", running.fleet.url, "--no-stream")
    assert (0, True) == (result.exit_code, "failover from primary/m" in result.stderr)


def test_a_stream_that_was_gone_on_with_elsewhere_is_told(cli, running) -> None:
    running.inject("primary", "cut:after=4")
    result = cli("ask", "hi", "--model", "chat", "--url", running.fleet.url)
    assert (0, 2) == (result.exit_code, len(result.stderr.splitlines()))
    said = r"primary/m broke off after \d+ characters \(cut\); backup/m went on \d+ ms later \(prefill\)"
    assert re.fullmatch(said, result.stderr.splitlines()[1])


@pytest.mark.parametrize("given", ["{0}", "{0}/", "{0}/v1", "127.0.0.1:{1}"])
def test_the_address_may_be_spelled_as_people_have_it(cli, running, given: str) -> None:
    url = given.format(running.fleet.url, running.fleet.proxy.port)
    assert 0 == cli("ask", "hi", "--model", "chat", HOLDFAST_URL=url).exit_code


def test_json_is_one_document(cli, running) -> None:
    shown = json.loads(cli("ask", "hi", "--model", "chat", "--url", running.fleet.url, "--json").stdout)
    assert (None, "primary") == (shown["error"], shown["x-holdfast-upstream"])
    assert shown["text"]


def test_an_error_is_one_line(cli, running) -> None:
    said = one_line(cli("ask", "hi", "--model", "chatt", "--url", running.fleet.url), 1)
    assert said.startswith("holdfast: ")
    assert "chat" in said
    shown = cli("ask", "hi", "--model", "chatt", "--url", running.fleet.url, "--json")
    assert 1 == shown.exit_code
    assert json.loads(shown.stdout)["error"] == said.removeprefix("holdfast: ")


def test_a_broken_stream_keeps_its_text_and_ends_in_one_line(cli, running) -> None:
    running.inject("primary", "cut:after=4")
    result = cli("ask", "hi", "--model", "alone", "--url", running.fleet.url)
    assert 1 == result.exit_code
    assert (4, True) == (len(result.stdout.split()), result.stdout.endswith("\n"))
    assert 1 == len(result.stderr.splitlines())


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}])
def test_no_colours_where_there_is_no_terminal(cli, running, environ: dict[str, str]) -> None:
    assert "\x1b" not in cli("ask", "hi", "--model", "chat", "--url", running.fleet.url, **environ).output


def test_nobody_listens(cli) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = f"holdfast: nobody listens at {url}; start it with: holdfast serve, or say where it is with --url"
    assert said == one_line(cli("ask", "hi", "--url", url), 1)
    assert said == one_line(cli("ask", "hi", "--url", url, "--json"), 1)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://[::", "a b", "http://x:99999"])
def test_no_address(cli, url: str) -> None:
    assert "is no address; write it like http://127.0.0.1:8400" in one_line(cli("ask", "hi", "--url", url), 2)


def test_a_key_with_a_line_break(cli) -> None:
    assert "is there a line break in it?" in one_line(cli("ask", "hi", HOLDFAST_API_KEY="k\n"), 2)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>", "text/html"),
        (b"[]", "application/json"),
        (b'{"error": 1}', "application/json"),
        (b"data: nonsense\n\n", "text/event-stream"),
    ],
)
def test_somebody_else_listens(cli, answering, body: bytes, content_type: str) -> None:
    url = answering(body, content_type).url
    said = f"holdfast: {url} does not answer as a chat API does; is it Holdfast?"
    assert said == one_line(cli("ask", "hi", "--url", url), 1)


def test_a_stream_without_its_end_is_no_whole_answer(cli, answering) -> None:
    url = answering(b'data: {"choices":[{"delta":{"content":"so far"}}]}\n\n', "text/event-stream").url
    result = cli("ask", "hi", "--url", url)
    assert ("so far\n", 1) == (result.stdout, result.exit_code)
    assert "holdfast: the stream ended without its terminal marker\n" == result.stderr


def test_without_a_key_where_one_is_wanted_the_cure_is_told(cli, answering) -> None:
    url = answering(b'{"error": {"message": "No."}}', status=401).url
    assert one_line(cli("ask", "hi", "--url", url), 1).endswith("; give a client's key with --key or HOLDFAST_API_KEY")
