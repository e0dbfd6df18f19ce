"""The routes.yaml that everybody reads first."""

from pathlib import Path

import pytest

from proxy.config.load import load_file
from proxy.config.resolve import find_route, resolve

FILE = Path(__file__).parents[2] / "routes.yaml"
KEYS = {name: f"k-{name}" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY")}


def test_without_keys_it_runs_on_the_simulated_upstream_with_a_warning_for_each_key() -> None:
    loaded = load_file(FILE, {})
    assert [f"{finding.severity}: {finding.message}" for finding in loaded.findings] == [
        "warning: OPENAI_API_KEY is not set: upstream openai is skipped",
        "warning: ANTHROPIC_API_KEY is not set: upstream claude is skipped",
        "warning: DEEPSEEK_API_KEY is not set: upstream deepseek is skipped",
        "warning: XAI_API_KEY is not set: upstream grok is skipped",
    ]
    assert loaded.config is not None
    settings = resolve(loaded.config, loaded.unconfigured)
    for route in settings.routes.values():
        assert route.steps[-1].upstream == "demo"
        assert route.steps[-1].unusable is None


def test_with_all_keys_there_is_nothing_to_say() -> None:
    loaded = load_file(FILE, KEYS)
    assert loaded.findings == ()
    assert loaded.config is not None
    settings = resolve(loaded.config, loaded.unconfigured)
    assert {step.unusable for route in settings.routes.values() for step in route.steps if step.upstream != "demo"} == {
        None
    }
    assert settings.routes["default"].steps[-1].unusable == "stands aside: a real key is set"


@pytest.mark.parametrize("key", KEYS)
def test_with_one_key_no_route_is_dead(key: str) -> None:
    assert not [f.message for f in load_file(FILE, {key: "k"}).findings if "serve" in f.message]


def test_what_it_is_about() -> None:
    loaded = load_file(FILE, {})
    assert loaded.config is not None
    settings = resolve(loaded.config, loaded.unconfigured)
    assert list(settings.routes) == ["default", "high-priority", "low-cost", "local-first", "gpt-*"]
    assert list(settings.upstreams) == ["openai", "claude", "deepseek", "grok", "local", "llamacpp", "demo"]
    route = find_route(settings, "gpt-4o")
    assert route is not None
    assert route.steps[0].model == "*"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, FILE.parent / "holdfast.db"),
        ({"STATE_DIRECTORY": "/var/lib/holdfast"}, Path("/var/lib/holdfast/holdfast.db")),
    ],
)
def test_where_state_is_kept(environ: dict[str, str], expected: Path) -> None:
    loaded = load_file(FILE, environ)
    assert loaded.config is not None
    assert resolve(loaded.config, loaded.unconfigured, loaded.folder).state_path == expected
