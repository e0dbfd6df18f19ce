import json

import pytest

from proxy.simulator.faults import FAULTS
from tests.cli.conftest import free_port, one_line


def test_inject_and_heal(cli, running) -> None:
    upstream = running.fleet.simulator.upstream("primary")
    injected = cli("fault", "primary", "cut:after=9", "--url", running.fleet.url)
    assert ("primary: cut:after=9\n", 0) == (injected.output, injected.exit_code)
    assert upstream._armed is not None
    assert "cut:after=9" == str(upstream._armed.fault)
    assert "primary: healthy\n" == cli("fault", "primary", "off", "--url", running.fleet.url).output
    assert upstream._armed is None


def test_as_json(cli, running) -> None:
    shown = [cli("fault", "primary", fault, "--json", "--url", running.fleet.url).stdout for fault in ("503", "off")]
    expected = [{"upstream": "primary", "fault": "503"}, {"upstream": "primary", "fault": None}]
    assert expected == [json.loads(each) for each in shown]


def test_the_list(cli) -> None:
    lines = cli("fault", "--list").stdout.splitlines()
    assert list(FAULTS) == [line.split()[0] for line in lines]


def test_an_unknown_upstream(cli, running) -> None:
    said = one_line(cli("fault", "primry", "503", "--url", running.fleet.url), 1)
    assert "holdfast: no upstream 'primry'; did you mean 'primary'?" == said
    assert "no upstream 'a/../b'" in one_line(cli("fault", "a/../b", "503", "--url", running.fleet.url), 1)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("stal", "unknown fault 'stal'; did you mean 'stall'?"),
        ("xyzzy", "unknown fault 'xyzzy'; all: holdfast fault --list"),
        ("99", "status must be a whole number from 400 to 599, got '99'; see holdfast fault -h"),
    ],
)
def test_an_unknown_fault_needs_no_proxy_to_be_found_out(cli, fault: str, said: str) -> None:
    assert f"holdfast fault: {said}" == one_line(cli("fault", "primary", fault), 2)


def test_nobody_listens(cli) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = f"holdfast: nobody listens at {url}; start it with: holdfast demo, or say where it is with --url"
    assert said == one_line(cli("fault", "primary", "503", "--url", url), 1)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>", 200, "does not answer as Holdfast does"),
        (b"[]", 200, "does not answer as Holdfast does"),
        (b"<html>", 404, "it answers with HTTP 404, not as Holdfast does"),
        (b'{"simulator": null}', 200, "runs no simulated upstreams; try it with: holdfast demo"),
        (b'{"error": {"message": "Send the key."}}', 401, "Send the key; here: --key or HOLDFAST_ADMIN_KEY"),
        (b'{"simulator": "http://127.0.0.1:1"}', 200, "takes faults only from the machine that it runs on"),
    ],
)
def test_what_cannot_take_faults(cli, answering, body: bytes, status: int, said: str) -> None:
    assert said in one_line(cli("fault", "primary", "503", "--url", answering(body, status=status).url), 1)
