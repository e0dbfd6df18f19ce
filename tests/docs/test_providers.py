"""The pages of providers and endpoints say what the registry and the languages say."""

from __future__ import annotations

import pytest

from proxy.core.wire import Wire
from proxy.dialects import registry
from proxy.dialects.languages import CLIENT_WIRES
from proxy.dialects.registry import KINDS, Kind
from proxy.server.door import PATHS
from tests.docs.pages import TOP, blocks, links, quoted, read, tables
from tests.docs.test_docs import loaded

INDEX, ENDPOINTS = read("providers.md"), read("endpoints.md")
PROVIDERS = [kind for name, kind in KINDS.items() if name != "simulated"]
LANGUAGES = {
    None: "OpenAI's chat completions",
    "anthropic": "Anthropic's Messages",
    "gemini": "Gemini's `generateContent`",
    "bedrock": "Bedrock's Converse",
    "ollama": "Ollama's `/api/chat`",
}


def native(kind: Kind) -> set[str]:
    """The endpoints whose language an upstream speaks itself."""
    spoken = {*kind.paths} - ({Wire.CHAT} if kind.dialect is not None else set())
    return {path for path, wire in PATHS.items() if wire in spoken}


def facts(kind: Kind) -> dict[str, str]:
    """The table at the top of a page."""
    return dict(tables(read(f"providers/{kind.name}.md"), "what"))


def test_each_kind_has_a_page_and_each_page_a_kind() -> None:
    pages = {page.stem for page in (TOP / "docs" / "providers").glob("*.md")}

    assert {kind.name for kind in PROVIDERS} == pages


def test_the_index_names_every_kind_its_language_and_what_passes_through() -> None:
    told = {quoted(kind)[0]: (language, set(quoted(through))) for kind, language, through in tables(INDEX, "kind")}

    assert {kind.name: (LANGUAGES[kind.dialect], native(kind)) for kind in PROVIDERS} == told
    assert {f"providers/{kind.name}.md" for kind in PROVIDERS} <= set(links(INDEX))


@pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.name)
def test_a_page_has_what_the_registry_has(kind: Kind) -> None:
    told = facts(kind)
    headers = [kind.auth_header, *kind.auth_headers.values()]

    assert [kind.name] == quoted(told["kind"])
    assert told["default address"] == (f"`{kind.base_url}`" if kind.base_url else "none")
    assert told["usual variable"] == (f"`{kind.key_variable}`" if kind.key_variable else "none")
    assert quoted(told["header of the key"])[0] == headers[0]
    assert set(quoted(told["header of the key"])) <= set(headers)
    assert list(kind.options) == quoted(told["options"])
    assert native(kind) == set(quoted(told["passes through"]))


@pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.name)
def test_a_page_names_what_is_left_out_and_renamed(kind: Kind) -> None:
    page = read(f"providers/{kind.name}.md")
    if kind.dialect is None:
        assert sorted(kind.quirks.drop) == quoted(facts(kind)["left out"])
    for client, upstream in kind.quirks.rename.items():
        assert f"| `{client}` | `{upstream}` |" in page
    if kind.quirks.token_cap == "max_tokens":
        assert any(row[0] == "`max_completion_tokens`" for row in _rows(page))


def _rows(page: str) -> list[list[str]]:
    return tables(page, "client")


@pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.name)
def test_a_page_has_an_example_in_which_the_kind_is_asked(kind: Kind) -> None:
    examples = blocks(read(f"providers/{kind.name}.md"), "yaml")

    assert examples
    for example in examples:
        config = loaded(example).config
        assert config is not None
        ours = {name for name, upstream in config.upstreams.items() if upstream.kind == kind.name}
        chained = {str(step.to).partition("/")[0] for route in config.routes.values() for step in route.chain}
        assert ours
        assert ours <= chained


@pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.name)
def test_a_page_is_one_page(kind: Kind) -> None:
    assert 40 <= len(read(f"providers/{kind.name}.md").splitlines()) <= 95


def test_the_row_that_contributing_shows_is_one() -> None:
    (row,) = (each for each in blocks(read("contributing.md"), "python") if each.startswith("Kind("))
    kind = eval(row.strip().rstrip(","), dict(vars(registry)))  # noqa: S307 - our own page

    assert isinstance(kind, Kind)
    assert kind.paths.keys() == {Wire.CHAT, Wire.EMBEDDINGS}


def test_every_endpoint_has_its_section_and_its_marker() -> None:
    told = {quoted(row[0])[0] for row in tables(ENDPOINTS, "endpoint")}

    assert set(PATHS) == told
    for path in PATHS:
        assert f"\n## {path}\n" in ENDPOINTS


def test_every_kind_is_in_the_table_of_ways() -> None:
    told = {
        path: set(quoted(own)) for path, own in ((quoted(row[0])[0], row[2]) for row in tables(ENDPOINTS, "endpoint"))
    }

    assert {path: {kind.name for kind in PROVIDERS if path in native(kind)} for path in PATHS} == told
    assert {*CLIENT_WIRES, Wire.CHAT} == set(PATHS.values())
