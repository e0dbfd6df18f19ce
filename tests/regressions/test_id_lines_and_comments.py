"""OpenAI's SDK takes each blank line behind an `id:` for an event and fails on it: such lines stay upstream."""

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual


def test_a_stream_with_ids_and_comments_reaches_the_client_without_ids() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "comments")
            seen = await running.chat()

            assert seen.done
            assert b"\nid:" not in seen.body
            assert b"retry:" not in seen.body

    run_virtual(scenario())
