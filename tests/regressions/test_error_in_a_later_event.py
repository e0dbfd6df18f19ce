"""Errors in the first or the second event of a 200 went to the client (Portkey, Bifrost#5395): hold until content."""

import pytest

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize(
    "fault", ["error_first", "error_later:after=0", "error_then_done:after=0", "error_field:after=0"]
)
def test_it_is_hidden_by_the_next_deployment(fault: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", fault)
            seen = await running.chat()

            assert (200, True, "backup") == (seen.status, seen.done, seen.headers["x-holdfast-upstream"])
            assert b"error" not in seen.body

    run_virtual(scenario())
