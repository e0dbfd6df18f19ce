"""One arena for all of the matrix, and for nothing else: its threads draw luck, which other tests do not allow."""

from collections.abc import Iterator

import pytest

from tests.conformance.matrix.arena import Arena, opened
from tests.conformance.matrix.client import Client
from tests.conformance.matrix.rows import clients


@pytest.fixture(scope="package")
def open_arena() -> Iterator[Arena]:
    with opened() as arena:
        yield arena


@pytest.fixture
def arena(open_arena: Arena) -> Arena:
    open_arena.clean()
    return open_arena


@pytest.fixture(scope="package")
def every_client(open_arena: Arena) -> dict[str, Client]:
    return {client.name: client for client in clients(open_arena.url)}
