"""What the page of the endpoints and README show runs as it stands, against a proxy in front of simulated upstreams."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import httpx
import pytest

from tests.conformance.conftest import RunningFleet, run_fleet
from tests.docs.pages import TOP, blocks, read
from tests.docs.test_docs import loaded

ENDPOINTS, README = read("endpoints.md"), (TOP / "README.md").read_text(encoding="utf-8")
ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  played: {kind: simulated}
routes:
  default: {chain: [played/m]}
  embed: {chain: [played/m]}
"""
TYPED = "http://127.0.0.1:8400"


def indented(page: str, holding: str) -> str:
    """The indented block with these words."""
    (found,) = (each for each in re.findall(r"(?:^ {4}.*\n|^\n)+", page, re.MULTILINE) if holding in each)
    return re.sub(r"^ {4}", "", found, flags=re.MULTILINE)


PYTHON = [*blocks(ENDPOINTS, "python"), *(indented(README, f"from {sdk} import") for sdk in ("openai", "anthropic"))]
CURLS = [each for each in blocks(ENDPOINTS, "sh") if each.startswith("curl ")]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningFleet]:
    made, stop = run_fleet(ROUTES)
    yield made
    stop()


@pytest.mark.parametrize("example", PYTHON, ids=lambda text: re.findall(r"client\.([a-z.]+)\(", text)[0])
def test_python(running: RunningFleet, example: str) -> None:
    assert TYPED in example
    exec(example.replace(TYPED, running.fleet.url), {})  # noqa: S102 - our own page


@pytest.mark.parametrize("example", CURLS, ids=lambda text: shlex.split(text)[1])
def test_curl(running: RunningFleet, example: str) -> None:
    _, url, header, typed, data, body = shlex.split(example.replace("\\\n", ""))
    assert (header, data) == ("-H", "-d")
    answer = httpx.post(
        url.replace(TYPED, running.fleet.url), content=body, headers=dict([typed.split(": ")]), timeout=10
    )

    assert answer.status_code == 200, answer.text


def test_the_examples_are_found() -> None:
    assert len(PYTHON) == 6
    assert len(CURLS) == 4


def test_the_routes_of_readme() -> None:
    assert [] == [finding.message for finding in loaded(indented(README, "version: 1")).findings]
