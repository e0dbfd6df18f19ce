import aiohttp
import pytest

from proxy.cli.client import NotOurs, Question, chat
from tests.support.fleet import fleet


@pytest.mark.parametrize("stream", [True, False])
async def test_a_whole_answer_with_what_was_told_about_it(stream: bool) -> None:
    pieces: list[str] = []
    async with fleet() as made:
        made.simulator.upstream("primary").voice.pace = 0.001
        answer = await chat(made.session, made.url, Question("chat", "hi", stream=stream), on_text=pieces.append)
    assert (200, None, "primary") == (answer.status, answer.error, answer.told["x-holdfast-upstream"])
    assert answer.text == "".join(pieces) != ""
    assert stream == (len(pieces) > 2)


async def test_an_error_within_a_stream_keeps_the_text_so_far() -> None:
    async with fleet() as made:
        await made.simulator.inject("primary", "cut:after=3")
        answer = await chat(made.session, made.url, Question("alone", "hi", stream=True))
    assert (200, 3) == (answer.status, len(answer.text.split()))
    assert answer.error is not None


async def test_an_error_instead_of_an_answer() -> None:
    async with fleet() as made:
        answer = await chat(made.session, made.url, Question("nobody", "hi", stream=True))
    assert (404, "") == (answer.status, answer.text)
    assert answer.error is not None


async def test_what_does_not_speak_as_we_do(answering) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NotOurs):
            await chat(session, answering(b"1").url, Question("chat", "hi", stream=False))
