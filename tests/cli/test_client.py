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


async def test_where_a_stream_was_gone_on_with_elsewhere() -> None:
    async with fleet() as made:
        for name in ("primary", "backup"):
            made.simulator.upstream(name).voice.answer = "One two three four five."
        await made.simulator.inject("primary", "cut:after=3")
        answer = await chat(made.session, made.url, Question("chat", "hi", stream=True))
    (resume,) = answer.resumes
    assert (None, "One two three four five.") == (answer.error, answer.text)
    assert ("primary/m", "backup/m", "cut", "prefill", len("One two three")) == (*resume[:4], resume.at)
    assert resume.ms >= 0


@pytest.mark.parametrize("comment", [b"from=a/m; to=b/m", b"from=a; to=b; cause=cut; mode=prefill; ms=soon"])
async def test_a_comment_that_looks_like_ours_and_is_not(answering, comment: bytes) -> None:
    url = answering(b": holdfast-resumed " + comment + b"\n\ndata: [DONE]\n\n", "text/event-stream").url
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NotOurs):
            await chat(session, url, Question("chat", "hi", stream=True))


async def test_an_error_instead_of_an_answer() -> None:
    async with fleet() as made:
        answer = await chat(made.session, made.url, Question("nobody", "hi", stream=True))
    assert (404, "") == (answer.status, answer.text)
    assert answer.error is not None


async def test_what_does_not_speak_as_we_do(answering) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NotOurs):
            await chat(session, answering(b"1").url, Question("chat", "hi", stream=False))
