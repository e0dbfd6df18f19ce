"""The pages say what the code does: tables are compared, examples loaded, commands parsed, links followed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from proxy.cli.main import cli
from proxy.config.load import Loaded, load
from proxy.config.schema import Config
from proxy.config.schema_policies import Limit
from proxy.config.schema_policies import Resume as ResumeSection
from proxy.config.shape import bare
from proxy.control import urls as control_urls
from proxy.core.event import AttemptEnded, RequestEnded, Resume
from proxy.core.facts import Learned
from proxy.core.failure import VERDICTS, Rests
from proxy.core.names import DeploymentId
from proxy.dialects.prefill import PREFILLS
from proxy.dialects.registry import KINDS
from proxy.routing import explain
from proxy.server import urls
from proxy.server.flags import FLAGS, RESUMED
from proxy.simulator.faults import FAULTS, Fault, parse_fault
from proxy.streams.resume import Obstacle
from proxy.streams.seam import ANCHOR
from proxy.streams.transcript import BLOCK, MOST_OF_ALL, MOST_SAID
from proxy.telemetry.feed import Feed, Told
from proxy.telemetry.lines import LINES
from proxy.telemetry.log import Log
from proxy.telemetry.metrics import Metrics
from tests.docs.pages import DOCS, PAGES, TOP, blocks, commands, links, quoted, read, tables
from tests.support.fleet import fleet
from tests.support.happenings import one_of, one_of_each
from tests.support.virtual_time import run_virtual

CONFIGURATION, FAILURES, OPERATIONS = read("configuration.md"), read("failures.md"), read("operations.md")
SIMULATOR, DEPENDENCIES, RESUME = read("simulator.md"), read("dependencies.md"), read("resume.md")
ENVIRON_KEYS = re.compile(r"\$\{([A-Z_0-9]+)\}")
NEARER = re.compile(
    r"(?:^|\.)((?:timeout|retry|breaker|health|recovery|foresight|max_concurrent|panic|outlier|degraded_below|resume)"
    r"(?:\..*)?)$"
)
RESUME_MEMBERS = ("from", "to", "cause", "mode")
OWN_PLACE = re.compile(r"server\.|defaults\.retry\.budget|upstreams\.NAME\.(retry\.budget|max_concurrent$)")


# Configuration


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key that has a value of its own, with what its docstring says. Keys that may stand nearer come without
    the place where they stand."""
    for name, field in model.model_fields.items():
        below = f"{path}{name}"
        found, below = _inside(bare(field.annotation), below)
        if isinstance(found, type) and issubclass(found, BaseModel):
            if found in {Limit, ResumeSection}:  # have short forms
                yield _told_as(below), field.description or ""
            yield from keys(found, f"{below}.")
        else:
            yield _told_as(below), field.description or ""


def _told_as(path: str) -> str:
    near = NEARER.search(path)
    return near[1] if near and not OWN_PLACE.match(path) else path


def _inside(found: Any, path: str) -> tuple[Any, str]:
    while get_origin(found) in {dict, list}:
        in_mapping = get_origin(found) is dict
        path += (".MODEL" if path.endswith("models") else ".NAME") if in_mapping else "[]"
        found = bare(get_args(found)[-1])
    return found, path


def test_every_key_of_the_schema_is_on_the_page_and_no_other() -> None:
    told = {quoted(row[0])[0] for row in tables(CONFIGURATION, "key")}

    assert {path for path, _ in keys(Config)} == told


def test_every_default_on_the_page_is_that_of_the_schema() -> None:
    told = {quoted(row[0])[0]: row[2] for row in tables(CONFIGURATION, "key")}
    for path, description in keys(Config):
        if default := re.search(r"Default (\S+?)\.(?:\s|$)", description):
            assert f"`{default[1]}`" == told[path], path


def test_every_kind_is_on_the_page() -> None:
    told = {quoted(kind)[0]: (address.strip("`"), key.strip("`")) for kind, address, key in kinds_on_the_page()}

    assert {name: (kind.base_url or "none", kind.key_variable or "none") for name, kind in KINDS.items()} == told


def test_every_option_of_a_kind_is_on_the_page() -> None:
    told = {(quoted(kind)[0], quoted(option)[0]) for kind, option, _ in tables(CONFIGURATION, "of kind")}

    assert {(name, option) for name, kind in KINDS.items() for option in kind.options} == told


def kinds_on_the_page() -> list[list[str]]:
    return [row for row in tables(CONFIGURATION, "kind") if len(row) == 3]


def loaded(text: str) -> Loaded:
    environ = {name: f"only-for-tests-{name}" for name in ENVIRON_KEYS.findall(text)}
    return load(text, filename="example.yaml", environ=environ, read_file=lambda _path: "only-for-tests")


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_example_loads(page: Path) -> None:
    for example in blocks(page.read_text(), "yaml"):
        found = loaded(example)
        assert [] == [finding.message for finding in found.findings], example
        assert found.config is not None


def test_what_explain_prints_is_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = (each for each in blocks(CONFIGURATION, "yaml") if "careful:" in each)
    (tmp_path / "routes.yaml").write_text(example)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "only-for-tests")
    printed = CliRunner().invoke(cli, ["explain", "-c", str(tmp_path / "routes.yaml"), "--model", "careful"])

    assert blocks(CONFIGURATION, "text") == [printed.output]


# Failures


def test_the_failure_table() -> None:
    rows = [row for row in tables(FAILURES, "class") if len(row) == 6]
    expected = [
        [
            f"`{kind}`",
            verdict.severity.value,
            verdict.same.value,
            verdict.next.value,
            "yes" if verdict.counts else "no",
            "nothing" if verdict.rests is Rests.NOTHING else verdict.rests.value,
        ]
        for kind, verdict in VERDICTS.items()
    ]

    assert expected == rows


def test_every_class_is_described() -> None:
    described = [quoted(row[0])[0] for row in tables(FAILURES, "class") if len(row) == 2]

    assert [kind.value for kind in VERDICTS] == described


# Resuming


def test_every_reason_is_on_the_page() -> None:
    assert [*(obstacle.value for obstacle in Obstacle), "shutting_down"] == [
        quoted(row[0])[0] for row in tables(RESUME, "reason")
    ]


def test_every_kind_that_goes_on_is_on_the_page_with_how_it_is_told() -> None:
    told = {
        quoted(kind)[0]: ({*quoted(added)} - {"enable_thinking", "/beta"}, {*quoted(left_out)}, repeats)
        for kind, _, added, left_out, repeats in tables(RESUME, "kind")
    }

    assert {
        kind: ({*prefill.message, *prefill.fields}, {*prefill.drop}, prefill.echo.value)
        for kind, prefill in PREFILLS.items()
    } == told


def test_the_models_that_the_page_names_go_on_or_do_not() -> None:
    for kind, models, *_ in tables(RESUME, "kind"):
        able, _, unable = models.partition("; not ")
        pattern = PREFILLS[quoted(kind)[0]].models
        found = {name: bool(pattern.fullmatch(name.rpartition("/")[2].lower())) for name in quoted(models)}
        assert {**dict.fromkeys(quoted(able), True), **dict.fromkeys(quoted(unable), False)} == found, kind


def test_every_address_of_its_own_is_on_the_page() -> None:
    own = [kind for kind, prefill in PREFILLS.items() if prefill.path is not None]

    assert own == [quoted(row[0])[0] for row in tables(RESUME, "kind") if "/beta" in row[2]]


def test_the_figures_of_the_seam_and_of_the_memory() -> None:
    assert f"{ANCHOR} characters or more" in RESUME
    assert f"16 to {ANCHOR - 1} characters" in RESUME
    assert f"up to {BLOCK // 1024} KB" in RESUME
    assert f"{MOST_SAID // 1024**2} MiB of text is kept" in RESUME
    assert f"together {MOST_OF_ALL // 1024**2} MB" in RESUME


def test_every_code_of_a_break_is_one_of_a_failure() -> None:
    known = {code for row in tables(FAILURES, "class") if len(row) == 2 for code in quoted(row[1])}

    assert {code for row in tables(RESUME, "break") for code in quoted(row[1])} <= known


# Operations


def test_every_endpoint_is_on_the_page() -> None:
    told = {quoted(row[0])[0] for row in tables(OPERATIONS, "path")}
    served = {f"{route.method} {route.path}".replace(":.+}", "}") for route in (*urls.routes(), *control_urls.routes())}

    assert served == told


def test_every_flag_is_on_the_page() -> None:
    told = {quoted(row[1])[0]: quoted(row[0])[0] for row in tables(OPERATIONS, "flag")}

    assert {**FLAGS, "ok": RESUMED} == told


def sources(*folders: str) -> str:
    return "\n".join(file.read_text() for folder in folders for file in (TOP / "proxy" / folder).glob("*.py"))


def test_every_error_code_is_on_the_page() -> None:
    made = re.findall(r'ClientError\(\s*(\d{3}), "(\w+)"', sources("core", "server", "control"))
    expected = {*made, *((str(status), code) for code, status in explain._STATUS.items())}
    told = {(row[0], quoted(row[1])[0]) for row in tables(OPERATIONS, "status") if quoted(row[1])}

    assert expected | {("400", "malformed_request")} == told


def test_every_header_is_on_the_page() -> None:
    named = set(re.findall(r'"(x-(?:holdfast|stainless|request|should)[a-z-]*|server-timing|retry-after(?:-ms)?)"',
                           sources("core", "server")))  # fmt: skip
    told = {name for row in tables(OPERATIONS, "header") for name in quoted(row[0])}

    assert named == told


def test_every_field_of_the_log_is_on_the_page() -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    attempt = AttemptEnded(DeploymentId("u", "m"), "ok", 0.1, 200, 0.001)
    resume = Resume(attempt.deployment, attempt.deployment, "cut", "prefill")
    log = Log("json", "info", stream, worker=0)
    log(
        RequestEnded(
            "id", "r", "m", stream=True, status=200, flag="US", client="c", deployment=attempt.deployment,
            attempts=(attempt,), resumes=(resume,), first_token=0.1, cost=0.001, degraded="reason=failover",
            client_retry=1, tags="t", usage=b'{"usage":{"prompt_tokens":1,"completion_tokens":2}}',
        )
    )  # fmt: skip
    log.close()
    fields = set(re.findall(r'"(\w+)":', stream.buffer.getvalue().decode())) - {"deployment", "ms", *RESUME_MEMBERS}
    told = {name for row in tables(OPERATIONS, "field") for name in quoted(row[0])}

    assert fields == told


def test_every_line_of_the_log_is_on_the_page() -> None:
    told = {quoted(row[0])[0]: set(quoted(row[2])) for row in tables(OPERATIONS, "line")}
    events = {LINES[type(event)]: event for event in one_of_each() if type(event) in LINES}
    written = {line.name: {*line.fields(event), *(["times"] if line.floods else [])} for line, event in events.items()}
    del written["request"]  # has its own table

    assert written == told


def test_every_event_is_on_the_page_with_its_fields() -> None:
    told = {quoted(row[0])[0]: set(quoted(row[1])) for row in tables(OPERATIONS, "event")}
    sent = {type(each.event).__name__: set(json.loads(each.as_json())) - {"event", "at"} for each in told_by_feed()}

    assert sent == told


def told_by_feed() -> list[Told]:
    feed = Feed()
    for event in one_of_each():
        feed(event)
    return feed.after(0)


def test_every_metric_is_on_the_page_with_its_labels() -> None:
    rows = tables(OPERATIONS, "name")

    assert exposed_metrics() == {quoted(row[0])[0]: set(quoted(row[1])) for row in rows}


def exposed_metrics() -> dict[str, set[str]]:
    """The names on /metrics, and their labels after one of everything has happened."""

    async def scenario() -> str:
        async with fleet() as running:
            await running.chat()
            running.proxy.pool.deployment(DeploymentId("primary", "m")).headroom = 0.5
            running.proxy.settings.upstreams["primary"].learn({"m": Learned(loaded=True)})
            await running.simulator.inject("primary", "503")
            await running.chat(headers={"x-stainless-retry-count": "1"})
            return (await running.request("GET", "/metrics")).body.decode()

    metrics = Metrics()
    for event in one_of_each():
        metrics(event)
    metrics(one_of(AttemptEnded, outcome="lost"))
    served, counted = labels_of(run_virtual(scenario())), labels_of(metrics.render().decode())
    assert set(counted) <= set(served)
    found = {name: labels if labels is not None else counted[name] for name, labels in served.items()}
    assert not [name for name, labels in found.items() if labels is None]
    return {name: labels or set() for name, labels in found.items()}


def labels_of(page: str) -> dict[str, set[str] | None]:
    """By name; None where there is no series yet."""
    found: dict[str, set[str] | None] = {}
    for family in text_string_to_metric_families(page):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = labels if family.samples else None
    return found


# Simulator


def test_the_catalogue_of_faults() -> None:
    expected = []
    for name, row in FAULTS.items():
        defaults = {key: row.defaults.get(key, getattr(Fault(name), key)) for key in row.parameters}
        shown = [f"`{key}`" if value is None else f"`{key}={value}`" for key, value in defaults.items()]
        expected.append([f"`{name}`", ", ".join(shown), row.summary])

    assert expected == tables(SIMULATOR, "fault")


def test_every_fault_that_a_page_names_is_one() -> None:
    drilled = [quoted(row[1])[0] for row in tables(SIMULATOR, "drill")]
    injected = re.findall(r'-d \'\{"fault": "([^"]+)"', SIMULATOR)
    for spec in [*drilled, *injected]:
        parse_fault(spec)


# Dependencies


def test_every_dependency_has_its_row() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    needed = [_bare(each).lower() for each in project["dependencies"]]
    extras = {name: [_bare(each) for each in libraries] for name, libraries in project["optional-dependencies"].items()}

    assert sorted(needed) == sorted(quoted(row[0])[0].lower() for row in tables(DEPENDENCIES, "library"))
    assert extras == {quoted(row[0])[0]: quoted(row[1]) for row in tables(DEPENDENCIES, "extra")}


def _bare(requirement: str) -> str:
    return re.split(r"[><=; ]", requirement)[0]


# All pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_parse(page: Path) -> None:
    for words in commands(page.read_text()):
        check_parses(words)


def test_commands_are_found() -> None:
    readme = [words[0] for words in commands((TOP / "README.md").read_text())]

    assert {"serve", "demo", "ask", "check", "explain", "init"} <= set(readme)


@pytest.mark.parametrize("line", ["`holdfast chekc`", "    ./run serve --prot 1", "```sh\nholdfast ask --kee a b\n```"])
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises(click.UsageError):
        check_parses(words)


def check_parses(words: list[str]) -> None:
    """Raises click.UsageError for a command or an option that `holdfast` does not know."""
    with click.Context(cli, info_name="holdfast", **cli.context_settings) as context:
        name, command, rest = cli.resolve_command(context, list(words))
        assert command is not None
        if not rest:
            return  # a sentence that speaks of the command
        with contextlib.suppress(click.exceptions.Exit), command.make_context(name, rest, parent=context):
            pass  # options such as --list do their work and leave while they are parsed
