"""The files in deploy/ agree with each other and with the proxy that they run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import click
import pytest
import yaml

from proxy.cli.main import cli
from proxy.config.load import Loaded, load
from proxy.config.schema import Server
from proxy.dialects.registry import KINDS
from proxy.server.urls import routes

TOP = Path(__file__).parents[2]
DEPLOY = TOP / "deploy"
PAGES = ("docker.md", "compose.md", "systemd.md")
CLIENT_KEY = {"HOLDFAST_CLIENT_KEY": "only-for-tests"}
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROXY = SERVICES["holdfast"]


def dockerfile(word: str) -> list[str]:
    """The arguments of every instruction of one kind, in order."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith(f"{word} ")]


def health_check() -> list[str]:
    command: list[str] = json.loads(dockerfile("HEALTHCHECK")[0].partition(" CMD ")[2].strip())
    return command


def unit(key: str) -> list[str]:
    """The values of one setting of the systemd unit, in order."""
    lines = (DEPLOY / "holdfast.service").read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.partition("=")[0] == key]


def loaded_routes(**environ: str) -> Loaded:
    def no_files(path: str) -> str:
        raise FileNotFoundError(path)

    text = (DEPLOY / "compose.routes.yaml").read_text()
    return load(text, filename="compose.routes.yaml", environ=environ, read_file=no_files)


def server_of_compose() -> Server:
    config = loaded_routes(**CLIENT_KEY).config
    assert config is not None
    return config.server


def check_parses(words: list[str]) -> None:
    """Raises click.UsageError for a command or an option that `holdfast` does not know."""
    with click.Context(cli, info_name="holdfast") as context:
        name, command, rest = cli.resolve_command(context, list(words))
        assert command is not None
        with command.make_context(name, rest, parent=context):
            pass


def commands_in(line: str) -> Iterator[list[str]]:
    """What follows each `holdfast` of a shell line, to the command's end; names of units and images are skipped."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    tokens = list(lexer)
    for index, token in enumerate(tokens):
        rest = tokens[index + 1 :]
        if (
            PurePosixPath(token).name == "holdfast"
            and rest
            and re.fullmatch("[a-z]+", rest[0])
            and rest[0] != "holdfast"
        ):
            end = next((i for i, word in enumerate(rest) if re.fullmatch("[();<>|&]+", word)), len(rest))
            yield rest[:end]


def shell_lines(page: str) -> list[str]:
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", (DEPLOY / page).read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


# Compose


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])  # noqa: S108 - a mount point in a container
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_published_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert re.match(r"(127\.0\.0\.1|\$\{HOLDFAST_BIND:-127\.0\.0\.1\}):", port)


def test_prometheus_is_optional() -> None:
    assert "profiles" not in PROXY
    assert SERVICES["prometheus"]["profiles"] == ["observe"]


def test_every_mounted_file_exists() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service["volumes"]]
    for source, _target, *flags in mounts:
        if source.startswith("."):
            assert (DEPLOY / source).is_file(), source
            assert flags == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_every_providers_key_is_passed_on() -> None:
    for variable in {kind.key_variable for kind in KINDS.values()} - {None}:
        assert PROXY["environment"].get(variable, "missing") is None, variable


def test_variables_of_the_routes_are_given() -> None:
    named = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.routes.yaml").read_text()))
    image = set(re.findall(r"^ENV ([A-Z_]+)=", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    assert named <= set(PROXY["environment"]) | image


def test_compose_refuses_to_start_without_a_client_key() -> None:
    assert PROXY["environment"]["HOLDFAST_CLIENT_KEY"].startswith("${HOLDFAST_CLIENT_KEY:?")


def test_prometheus_scrapes_the_proxy() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"holdfast:{server_of_compose().port}"]}]
    assert job["metrics_path"] in {route.path for route in routes()}


# Routes


def test_routes_load_with_a_client_key_alone() -> None:
    loaded = loaded_routes(**CLIENT_KEY)
    assert [finding.message for finding in loaded.findings if finding.severity == "error"] == []
    assert loaded.config is not None
    assert set(loaded.unconfigured) == {"openai", "claude"}


def test_routes_load_without_findings_when_every_key_is_there() -> None:
    loaded = loaded_routes(**CLIENT_KEY, OPENAI_API_KEY="only-for-tests", ANTHROPIC_API_KEY="only-for-tests")
    assert [finding.message for finding in loaded.findings] == []


def test_routes_without_a_client_key_are_refused() -> None:
    loaded = loaded_routes()
    assert loaded.config is None
    assert any("HOLDFAST_CLIENT_KEY" in finding.message for finding in loaded.findings)


def test_the_container_listens_on_every_address() -> None:
    assert server_of_compose().host == "0.0.0.0"  # noqa: S104 - that of a container, published to the loopback


# Image


def test_ports_agree() -> None:
    port = str(server_of_compose().port)
    assert dockerfile("EXPOSE") == [port]
    assert [published.rpartition(":")[2] for published in PROXY["ports"]] == [port]
    assert f"'PORT', '{port}'" in health_check()[-1]


def test_the_image_reads_what_compose_mounts() -> None:
    command = json.loads(dockerfile("CMD")[0])
    assert f"./compose.routes.yaml:{command[-1]}:ro" in PROXY["volumes"]
    check_parses(command)


def test_the_entrypoint_is_what_the_wheel_installs() -> None:
    scripts = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["scripts"]
    (entrypoint,) = (json.loads(line) for line in dockerfile("ENTRYPOINT"))
    assert entrypoint[0] in scripts


def test_the_image_runs_as_a_numbered_user_without_rights() -> None:
    (user,) = dockerfile("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert PROXY["user"] == user


def test_everything_copied_exists_and_is_let_into_the_build() -> None:
    let_in = [
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    sources = [source for line in dockerfile("COPY") if not line.startswith("--from") for source in line.split()[:-1]]
    assert sources
    for source in sources:
        assert (TOP / source).exists(), source
        assert any(fnmatchcase(source, pattern) for pattern in let_in), source
    assert sorted(let_in) == sorted(sources), "what is let in and not copied only slows the build"


def test_dependencies_are_installed_as_locked() -> None:
    (install,) = [json.loads(line) for line in dockerfile("RUN") if "requirements.lock" in line]
    assert "--require-hashes" in install


def test_nothing_needs_a_shell() -> None:
    for word in ("RUN", "ENTRYPOINT", "CMD"):
        for line in dockerfile(word):
            assert isinstance(json.loads(line), list)


class _Probe(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        pass


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_check_asks_readyz_past_any_http_proxy(
    status: int, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(_Probe, "status", status)
    monkeypatch.setattr(_Probe, "asked", asked)
    command = health_check()
    assert command[0] == "python"
    with HTTPServer(("127.0.0.1", 0), _Probe) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            environ = {
                **os.environ,
                "PORT": str(server.server_port),
                "http_proxy": "http://127.0.0.1:1",
                "no_proxy": "",
            }
            done = subprocess.run([sys.executable, *command[1:]], env=environ, capture_output=True, check=False)  # noqa: S603 - our own
        finally:
            server.shutdown()
            thread.join()
    assert (done.returncode == 0) is healthy
    assert asked == ["/readyz"]
    assert "/readyz" in {route.path for route in routes()}


# Stopping


def test_stopping_waits_longer_than_draining_takes() -> None:
    drain = server_of_compose().drain
    assert float(PROXY["stop_grace_period"].removesuffix("s")) > drain.delay + drain.timeout
    usual = Server().drain
    assert float(unit("TimeoutStopSec")[0]) > usual.delay + usual.timeout
    (stop_timeout,) = re.findall(r"--stop-timeout (\d+)", (DEPLOY / "docker.md").read_text())
    assert float(stop_timeout) > usual.delay + usual.timeout
    assert dockerfile("STOPSIGNAL") == unit("KillSignal") == ["SIGTERM"]


# systemd


def test_the_units_commands_parse() -> None:
    commands = [words for line in unit("ExecStartPre") + unit("ExecStart") for words in commands_in(line)]
    assert [words[0] for words in commands] == ["check", "serve"]
    for words in commands:
        check_parses(words)


def test_the_unit_starts_without_an_environment_file_and_gains_nothing() -> None:
    assert unit("EnvironmentFile") == ["-/etc/holdfast/environment"]
    for key in ("DynamicUser", "NoNewPrivileges", "MemoryDenyWriteExecute", "PrivateTmp", "ProtectHome"):
        assert unit(key) == ["yes"], key
    assert unit("ProtectSystem") == ["strict"]
    assert unit("CapabilityBoundingSet") == [""]


def test_the_unit_passes_systemds_own_check(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    # The check wants the program to exist; nothing is run.
    copy = tmp_path / "holdfast.service"
    text = (DEPLOY / "holdfast.service").read_text()
    copy.write_text(text.replace("/opt/holdfast/bin/holdfast", sys.executable))
    done = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False)  # noqa: S603 - our own
    found = [line for line in done.stderr.splitlines() if "holdfast.service" in line]
    # Before version 253, as the unit says.
    assert [line for line in found if not line.endswith("Failed to parse service type, ignoring: notify-reload")] == []
    assert done.returncode == 0, done.stderr


def test_the_socket_unit_passes_systemds_own_check(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "holdfast.service").read_text()
    (tmp_path / "holdfast.service").write_text(text.replace("/opt/holdfast/bin/holdfast", sys.executable))
    copy = tmp_path / "holdfast.socket"
    copy.write_text((DEPLOY / "holdfast.socket").read_text())
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    command = [analyze, "verify", "--man=no", str(copy)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert [line for line in done.stderr.splitlines() if "holdfast.socket" in line] == []
    assert done.returncode == 0, done.stderr


def test_the_socket_is_where_the_unit_would_listen() -> None:
    text = (DEPLOY / "holdfast.socket").read_text()
    assert re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE) == [f"{Server().host}:{Server().port}"]


def test_the_unit_reloads_and_shows_signs_of_life() -> None:
    assert unit("Type")[-1] == "notify-reload"
    assert float(unit("WatchdogSec")[0]) > 0


# Pages


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_the_pages_parse(page: str) -> None:
    commands = [words for line in shell_lines(page) for words in commands_in(line)]
    assert commands
    for words in commands:
        check_parses(words)


@pytest.mark.parametrize(
    "line", ["holdfast chekc", "x; /opt/holdfast/bin/holdfast serve --prot 1", "(holdfast ask --kee a b)"]
)
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    (words,) = commands_in(line)
    with pytest.raises(click.UsageError):
        check_parses(words)


@pytest.mark.parametrize("page", PAGES)
def test_files_named_on_the_pages_exist(page: str) -> None:
    for name in set(re.findall(r"deploy/[\w.]*\w", (DEPLOY / page).read_text())) - {"deploy/.env"}:
        assert (TOP / name).is_file(), name
