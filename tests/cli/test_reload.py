"""holdfast reload, SIGHUP, and the watch over the file, on real processes."""

import json
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import ROUTES, Process, one_line

LISTENING = r'"event":"listening","url":"(http://[^"]*)/v1"'
UNWATCHED = ROUTES.replace("server: {port: 0}", "server: {port: 0, watch: false}")
OTHER = UNWATCHED.replace("[primary/m, backup/m]", "[backup/m]")
BAD = UNWATCHED.replace("chain: [primary/m, backup/m]", "chian: [primary/m]")


def serve(start: Callable[..., Process], *words: str) -> tuple[Process, str]:
    process = start("serve", *words)
    return process, process.wait_for(LISTENING).group(1)


def first_step(url: str) -> str:
    with urllib.request.urlopen(f"{url}/health", timeout=10) as response:  # noqa: S310 - the loopback
        return str(json.load(response)["routes"][0]["deployments"][0]["deployment"])


def stop(process: Process) -> None:
    process.send(signal.SIGTERM)
    assert 0 == process.end()
    assert "Traceback" not in process.output


def test_it_takes_the_new_file(start, cli, routes: Path) -> None:
    routes.write_text(UNWATCHED)
    process, url = serve(start)
    routes.write_text(OTHER + "telemetry: {log: {format: text}}\n")
    result = cli("reload", "--url", url, "--reason", "another chain")
    assert 0 == result.exit_code, result.output
    # A stranger's warning would be here, too.
    *findings, last = result.stdout.splitlines()
    assert findings[0].startswith("routes.yaml:4:3: warning: ")
    assert last.startswith("reloaded in ") and last.endswith(": no errors, 1 warning")
    assert "backup/m" == first_step(url)
    # The log is written in the new form at once.
    process.wait_for(r"reload +cause=operator .*reason='another chain'")
    shown = json.loads(cli("reload", "--url", url, "--json").stdout)
    assert ("ok", 1) == (shown["outcome"], shown["warnings"])
    stop(process)


def test_it_prints_what_is_wrong_as_check_does(start, cli, routes: Path) -> None:
    routes.write_text(UNWATCHED)
    process, url = serve(start)
    routes.write_text(BAD)
    checked, result = cli("check"), cli("reload", "--url", url)

    assert (1, 1) == (checked.exit_code, result.exit_code)
    assert checked.stdout.splitlines()[:-1] == result.stdout.splitlines()[:-1]
    assert "not reloaded, the proxy goes on as before: 2 errors, no warnings" == result.stdout.splitlines()[-1]
    assert 1 == cli("reload", "--url", url, "--json").exit_code
    process.wait_for(r'"event":"configuration","at":"routes.yaml:7:\d+","message":"[^"]*did you mean')
    process.wait_for(r'"level":"warning","event":"reload","outcome":"refused","cause":"operator","errors":2')
    assert "primary/m" == first_step(url)
    status = json.loads(cli("status", "--url", url, "--json").stdout)
    assert "refused" == status["last_reload"]["outcome"]
    stop(process)


def test_sighup(start, routes: Path) -> None:
    routes.write_text(UNWATCHED)
    process, url = serve(start)
    routes.write_text(OTHER)
    process.send(signal.SIGHUP)
    process.wait_for('"event":"reload","outcome":"ok","cause":"signal"')
    assert "backup/m" == first_step(url)
    routes.write_text(BAD)
    process.send(signal.SIGHUP)
    process.wait_for('"event":"reload","outcome":"refused","cause":"signal"')
    assert "backup/m" == first_step(url)
    stop(process)


def test_the_file_is_watched(start, folder: Path) -> None:
    """As Kubernetes mounts it, and with what the command line says in place of the file."""
    for name, text in (("v1", ROUTES), ("v2", ROUTES.replace("[primary/m, backup/m]", "[backup/m]"))):
        (folder / name).mkdir()
        (folder / name / "routes.yaml").write_text(text)
    (folder / "data").symlink_to("v1")
    (folder / "routes.yaml").symlink_to("data/routes.yaml")
    process, url = serve(start, "--host", "127.0.0.2", "--log-level", "info")
    (folder / "swap").symlink_to("v2")
    (folder / "swap").replace(folder / "data")
    # That server.host is another one is not even worth a word: the command line says where.
    reloaded = process.wait_for(r'"event":"reload",("outcome":"ok","cause":"file"[^}]*)')
    assert "message" not in reloaded.group(1)
    assert "backup/m" == first_step(url)
    stop(process)


def test_nobody_to_tell(cli) -> None:
    assert "nobody listens at http://127.0.0.1:1" in one_line(cli("reload", "--url", "127.0.0.1:1"), 1)
