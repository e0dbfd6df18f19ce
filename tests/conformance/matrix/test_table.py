"""The table has no blank: whatever is registered is in it, and every field of it is a test or has a reason."""

from pathlib import Path

import openai
import pytest

from proxy.core.wire import Wire
from proxy.dialects.languages import CLIENT_WIRES, DIALECTS
from proxy.dialects.registry import KINDS
from proxy.server.door import PATHS
from tests.conformance.matrix.arena import Arena, alone
from tests.conformance.matrix.cases import CASES
from tests.conformance.matrix.client import Ask, Client
from tests.conformance.matrix.page import page
from tests.conformance.matrix.reasons import ONE_ANSWER, why_not
from tests.conformance.matrix.rows import clients
from tests.conformance.matrix.test_matrix import CELLS
from tests.conformance.matrix.upstreams import UPSTREAMS

CLIENTS = clients("http://nowhere")
NO_EMBEDDINGS = [upstream for upstream in UPSTREAMS if Wire.EMBEDDINGS not in upstream.kind.paths]


def test_every_kind_and_every_dialect_is_asked() -> None:
    assert set(KINDS) == {upstream.kind.name for upstream in UPSTREAMS}
    assert set(DIALECTS) == {upstream.kind.dialect for upstream in UPSTREAMS} - {None}


def test_every_language_of_clients_is_spoken() -> None:
    """Add a class with `ask` for a new one, and its name to `rows.py`."""
    spoken = {client.wire for client in CLIENTS}
    assert {Wire.CHAT, *CLIENT_WIRES} == spoken
    assert set(PATHS.values()) == spoken
    assert len(CLIENTS) == len({client.name for client in CLIENTS})


def test_every_field_is_a_test_or_has_a_reason() -> None:
    tested = {(cell.values[0], cell.values[1].name, cell.values[2].name) for cell in CELLS}
    for client in CLIENTS:
        for upstream in UPSTREAMS:
            for case in CASES.values():
                reason = why_not(client, upstream, case)
                assert ((client.name, upstream.name, case.name) in tested) is (reason is None)
                assert reason is None or len(reason.split()) > 3


def test_every_name_of_a_case_that_has_a_reason_is_that_of_a_case() -> None:
    assert set() == {name for client in CLIENTS for name in client.cannot} - set(CASES)


def test_the_page_is_the_table() -> None:
    """Write it anew: python -m tests.conformance.matrix.page > docs/wires.md"""
    assert page() == (Path(__file__).parents[3] / "docs" / "wires.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("upstream", NO_EMBEDDINGS, ids=lambda upstream: upstream.name)
def test_embeddings_are_not_asked_of_who_has_none(arena: Arena, every_client: dict[str, Client], upstream) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        every_client["embeddings"].ask(alone(upstream))
    assert "This deployment has no embeddings." == raised.value.body["message"]
    assert "false" == raised.value.response.headers["x-should-retry"]
    assert [] == arena.received(upstream)


@pytest.mark.parametrize(
    ("client", "upstream"),
    [
        pytest.param(client.name, upstream, id=f"{client.name}-{upstream.name}")
        for client in CLIENTS
        for upstream in UPSTREAMS
        if why_not(client, upstream, CASES["two_answers"]) == ONE_ANSWER
    ],
)
def test_several_answers_are_not_asked_of_who_gives_one(
    arena: Arena, every_client: dict[str, Client], client, upstream
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        every_client[client].ask(alone(upstream), Ask(answers=2))
    assert "n" == raised.value.body["param"]
    assert [] == arena.received(upstream)
