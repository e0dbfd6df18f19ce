import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from proxy.cli.serving import cannot_listen
from tests.cli.conftest import ROUTES, free_port, one_line

LISTENING = r'"event":"listening","url":"(http://[^"]*)/v1"'
CLIENTS = ROUTES + 'clients: [{name: me, key: "a-key-of-some-length"}]\n'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(start, cli, routes: Path, number: signal.Signals) -> None:
    process = start("serve")
    url = process.wait_for(LISTENING).group(1)
    assert 0 == cli("ask", "hi", "--url", url).exit_code
    process.send(number)
    assert 0 == process.end()
    assert '"event":"draining"' in process.output
    assert '"event":"stopped"' in process.output
    assert "Traceback" not in process.output


def test_a_second_signal_ends_running_answers_with_a_word(start, cli, routes: Path) -> None:
    process = start("serve")
    url = process.wait_for(LISTENING).group(1)
    assert 0 == cli("fault", "primary", "endless", "--url", url).exit_code
    asking = start("ask", "hi", "--url", url)
    asking.wait_for(r"\w+ \w+ \w+")
    process.send(signal.SIGTERM)
    process.wait_for('"event":"draining"')
    process.send(signal.SIGTERM)
    assert 0 == process.end()
    assert "told again to stop" in process.output
    assert 1 == asking.end()
    assert asking.output.endswith("\nholdfast: The proxy is shutting down.\n")


def test_told_to_stop_it_is_unready_at_once_and_serves_on_for_the_delay(start, cli, routes: Path) -> None:
    routes.write_text(ROUTES.replace("{port: 0}", "{port: 0, drain: {delay: 30s}}"))
    process = start("serve")
    url = process.wait_for(LISTENING).group(1)
    process.send(signal.SIGTERM)
    process.wait_for('"event":"draining"')
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{url}/readyz", timeout=10)  # noqa: S310 - the loopback
    assert 0 == cli("ask", "hi", "--url", url).exit_code
    # A configuration is for requests that come, and soon none do.
    assert "shutting down" in one_line(cli("reload", "--url", url), 1)
    process.send(signal.SIGINT)
    assert 0 == process.end()
    assert '"event":"stopped"' in process.output


def test_warnings_are_lines_of_the_log(start, routes: Path) -> None:
    keyed = "backup: {kind: openai, api_key: '${OPENAI_API_KEY}'}"
    routes.write_text(ROUTES.replace("backup: {kind: simulated}", keyed))
    process = start("serve", "--log-format", "json")
    process.wait_for(LISTENING)
    warning = '"at":"routes.yaml:5:35","message":"OPENAI_API_KEY is not set: upstream backup is skipped"'
    assert warning in process.output


def test_the_environment_says_where(start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.yaml").write_text(ROUTES)
    port = free_port()
    environ = {"HOLDFAST_CONFIG": "mine.yaml", "HOST": "127.0.0.2", "PORT": "1", "HOLDFAST_PORT": str(port)}
    for name, value in {**environ, "HOLDFAST_LOG_FORMAT": "text"}.items():
        monkeypatch.setenv(name, value)
    process = start("serve")
    process.wait_for(rf"url=http://127\.0\.0\.2:{port}/v1")
    process.send(signal.SIGTERM)
    assert 0 == process.end()


def test_a_port_that_is_taken(start, routes: Path, taken: int) -> None:
    process = start("serve", "--port", str(taken))
    assert 1 == process.end()
    assert process.output.startswith(f"holdfast: port {taken} is taken; try --port ")
    assert process.output.endswith(f"see who has it: ss -ltnp 'sport = :{taken}'\n")
    assert 1 == len(process.output.splitlines())


def test_a_host_that_is_not_ours(start, routes: Path) -> None:
    routes.write_text(CLIENTS)
    process = start("serve", "--host", "192.0.2.1")
    assert 1 == process.end()
    assert process.output.startswith("holdfast: cannot listen on 192.0.2.1: ")
    assert process.output.endswith("; give an address of this machine with --host\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_said_of_an_address(host: str) -> None:
    taken = OSError(98, "Address already in use")
    assert cannot_listen(host, 65535, taken).startswith("port 65535 is taken; choose another with --port, or ")
    assert "port 80 needs privileges; try --port 8400" == cannot_listen(host, 80, PermissionError(13, "no"))


def test_strangers_are_not_let_in_without_clients(cli, routes: Path) -> None:
    cure = 'lets anyone in; first say in routes.yaml who may call: clients: [{name: me, key: "${MY_KEY}"}]'
    assert f"holdfast: --host 0.0.0.0 {cure}" == one_line(cli("serve", "--host", "0.0.0.0"), 1)  # noqa: S104 - it is refused
    assert f"holdfast: HOST=box (environment) {cure}" == one_line(cli("serve", HOST="box"), 1)


def test_files_that_cannot_be_used(cli, routes: Path) -> None:
    routes.write_text("version: 1\nupstreams: [\n")
    result = cli("serve")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "holdfast: routes.yaml cannot be used: 1 error" == result.stderr.splitlines()[-1]
    routes.unlink()
    assert "there is no such file; `holdfast init` writes one" in one_line(cli("serve"), 1)


@pytest.mark.parametrize("port", ["abc", "65536", "-1"])
def test_no_port(cli, port: str) -> None:
    assert one_line(cli("serve", "--port", port), 2).startswith("holdfast serve: Invalid value for '--port'")
    assert one_line(cli("serve", PORT=port), 2).startswith("holdfast serve: Invalid value for '--port'")
