import errno
import os
import subprocess
import sys

import pytest

from proxy import __version__
from proxy.cli.main import _COMMANDS as COMMANDS
from tests.cli.conftest import one_line

PYTHON = (sys.executable, "-X", "importtime", "-m", "proxy")


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        command,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def test_without_a_command_the_help_is_shown_as_a_mistake(cli) -> None:
    result = cli()
    assert 2 == result.exit_code
    assert "" == result.stdout
    assert all(f"  {name} " in result.stderr for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli, name: str) -> None:
    short, long = cli(name, "-h"), cli(name, "--help")
    assert 0 == short.exit_code
    assert short.stdout == long.stdout
    assert f"Usage: holdfast {name}" in short.stdout
    if name != "version":
        assert "Examples:\n  " in short.stdout


def test_the_version(cli) -> None:
    assert f"holdfast {__version__}\n" == cli("--version").stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sevre"], "holdfast: no command is named 'sevre'; did you mean 'serve'?"),
        (["xyzzy"], "holdfast: no command is named 'xyzzy'; see holdfast -h"),
    ],
)
def test_an_unknown_command(cli, words: list[str], line: str) -> None:
    assert line == one_line(cli(*words), 2)


@pytest.mark.parametrize("words", [["serve", "--xyzzy"], ["serve", "--port", "abc"], ["ask"], ["explain"]])
def test_wrong_usage_is_one_line_and_exit_2(cli, words: list[str]) -> None:
    said = one_line(cli(*words), 2)
    assert said.startswith(f"holdfast {words[0]}: ")
    assert said.endswith(f"; see holdfast {words[0]} -h")


def test_lines_to_paste_name_what_was_typed(cli) -> None:
    assert "./run init" in one_line(cli("serve", HOLDFAST_COMMAND="./run"), 1)


def test_an_interruption_is_no_failure_with_a_traceback(cli, monkeypatch: pytest.MonkeyPatch, routes) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("proxy.cli.loading.load_file", interrupted)
    result = cli("routes")
    assert (130, "") == (result.exit_code, result.output.strip())


def test_a_full_disk_is_one_line(cli, monkeypatch: pytest.MonkeyPatch, routes) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("proxy.cli.loading.load_file", full)
    assert "holdfast: cannot go on: No space left on device" == one_line(cli("routes"), 1)


@pytest.mark.parametrize("words", [["--version"], ["-h"], ["serve", "-h"], ["demo", "-h"], ["check"], ["schema"]])
def test_quick_commands_import_no_server(words: list[str], routes) -> None:
    ran = run(*PYTHON, *words)
    assert 0 == ran.returncode, ran.stderr
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "proxy.cli.main" in imported
    assert not {"aiohttp", "uvloop", "structlog", "prometheus_client"} & imported


def test_a_reader_that_leaves_early_hears_nothing_of_it(routes) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        command = [sys.executable, "-m", "proxy", "schema"]
        ran = subprocess.run(  # noqa: S603 - our own command
            command, stdout=closed, stderr=subprocess.PIPE, timeout=20, check=False
        )
    assert (b"", 1) == (ran.stderr, ran.returncode)


def test_a_terminal_that_lacks_characters_is_no_reason_to_crash(folder) -> None:
    ran = run(*PYTHON, "check", "na\u00efve\udcff.yaml", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert 1 == ran.returncode
    assert ".yaml: error: there is no such file" in ran.stdout
    assert "Traceback" not in ran.stderr
