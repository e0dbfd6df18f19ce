"""Every client, every upstream, every case: over real sockets, with the official SDKs."""

import pytest

from tests.conformance.matrix.arena import Arena
from tests.conformance.matrix.cases import CASES, Cell
from tests.conformance.matrix.client import Client
from tests.conformance.matrix.reasons import why_not
from tests.conformance.matrix.rows import clients
from tests.conformance.matrix.upstreams import UPSTREAMS

CELLS = [
    pytest.param(client.name, upstream, case, id=f"{client.name}-{upstream.name}-{case.name}")
    for client in clients("http://nowhere")
    for upstream in UPSTREAMS
    for case in CASES.values()
    if why_not(client, upstream, case) is None
]


@pytest.mark.parametrize(("client", "upstream", "case"), CELLS)
def test_cell(arena: Arena, every_client: dict[str, Client], client, upstream, case) -> None:
    case.check(Cell(arena, every_client[client], upstream))
